import { createApp } from 'vue'
import '@/shared/base.css'
import '@/shared/elder'
import './gate.css'
import App from './App.vue'
import { open } from './gate'

// Without one (an in-app browser of iOS has none) the page does not open offline: the screen says so.
if ('serviceWorker' in navigator) void navigator.serviceWorker.register('/screens/gate-sw.js', { scope: '/gate' })
// Asks that the browser does not clear away what is still to be sent.
void navigator.storage?.persist?.()

void open().then(() => createApp(App).mount('#app'))
