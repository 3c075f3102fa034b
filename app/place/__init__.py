"""Where goods come from and pass through: divisions of the state, and sites of the trade.

Terms: *division* (a county, township or village with its code, valid for a time), *successor* (the
code that a retired code became), *reporting unit* (who reports indicators to the city; functional
areas report for themselves although they have no code in GB/T 2260), *place* (a market, gate,
stall, plot, school, …, run by a party and lying in a division).

Invariants:
    1. A division's name is the name on the day that is asked about, never today's.
    2. A retired code keeps resolving for ever, through its successors, and the answer says so.
    3. A place is never changed under its id: the same content again is the same place.
    4. A geometry is WGS-84 and lies in Jiangsu.
"""
