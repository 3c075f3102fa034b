/**
 * The few parts of Vant that this program uses, one by one.
 *
 * Their styles are named one by one too: its icon font (and the address of a font on somebody
 * else's server within) stays out.
 */
import 'vant/es/style/base.css'
import 'vant/es/button/index.css'
import 'vant/es/cell/index.css'
import 'vant/es/loading/index.css'

export { Button as VanButton } from 'vant/es/button'
export { Cell as VanCell } from 'vant/es/cell'
