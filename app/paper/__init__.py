"""Paper: PDF, PNG and SVG from typst templates, as sharp as a form from an office.

Terms: *press* (what renders, one per process), *template* (a `.typ` file in the `templates` folder
of the package that prints it; `/paper/templates/sheet.typ` holds what all have in common).

Invariants:
    1. Data is handed in as JSON and is only ever text: nothing that a user typed is markup.
    2. The same template, data and instant give the same bytes.
    3. Only our own fonts are used, so that paper looks the same on every machine.
    4. The event loop never waits for a page, and nobody waits longer than `SECONDS_MAX`.
"""
