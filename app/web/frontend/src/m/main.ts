import { createPinia } from 'pinia'
import { createApp } from 'vue'
import './kit'
import '@/shared/base.css'
import './m.css'
import '@/shared/elder'
import { makeI18n } from '@/shared/language'
import App from './App.vue'
import en from './locales/en.json'
import zh from './locales/zh.json'
import { router } from './router'

// Without one (an in-app browser of iOS has none) it opens only where there is a network.
if ('serviceWorker' in navigator) void navigator.serviceWorker.register('/screens/m-sw.js', { scope: '/m' })

createApp(App).use(createPinia()).use(makeI18n({ zh, en })).use(router).mount('#app')
