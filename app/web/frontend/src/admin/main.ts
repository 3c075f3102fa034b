import { createPinia } from 'pinia'
import { createApp } from 'vue'
import '@/shared/base.css'
import './admin.css'
import { makeI18n } from '@/shared/language'
import App from './App.vue'
import en from './locales/en.json'
import zh from './locales/zh.json'
import { router } from './router'

createApp(App).use(createPinia()).use(makeI18n({ zh, en })).use(router).mount('#app')
