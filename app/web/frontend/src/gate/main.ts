import { createApp } from 'vue'
import '@/shared/base.css'
import '@/shared/elder'
import './gate.css'
import { useTexts } from '@/shared/language'
import { scan as scan_en } from '@/shared/locales/en.json'
import { scan as scan_zh } from '@/shared/locales/zh.json'
import App from './App.vue'
import { open } from './gate'
import en from './locales/en.json'
import zh from './locales/zh.json'

// Without one (an in-app browser of iOS has none) the page does not open offline: the screen says so.
if ('serviceWorker' in navigator) void navigator.serviceWorker.register('/screens/gate-sw.js', { scope: '/gate' })
// Asks that the browser does not clear away what is still to be sent.
void navigator.storage?.persist?.()

// Of the shared texts only those of the scan: this program must open fast from its cache.
useTexts({ zh: { scan: scan_zh, ...zh }, en: { scan: scan_en, ...en } })
void open().then(() => createApp(App).mount('#app'))
