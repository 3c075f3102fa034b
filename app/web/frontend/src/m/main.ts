import { createApp } from 'vue'
import './kit'
import '@/shared/base.css'
import './m.css'
import '@/shared/elder'
import { useTexts } from '@/shared/language'
import shared_en from '@/shared/locales/en.json'
import shared_zh from '@/shared/locales/zh.json'
import App from './App.vue'
import en from './locales/en.json'
import zh from './locales/zh.json'
import { router } from './router'

// Without one (an in-app browser of iOS has none) it opens only where there is a network.
if ('serviceWorker' in navigator) void navigator.serviceWorker.register('/screens/m-sw.js', { scope: '/m' })

useTexts({ zh: { ...shared_zh, ...zh }, en: { ...shared_en, ...en } })
createApp(App).use(router).mount('#app')
