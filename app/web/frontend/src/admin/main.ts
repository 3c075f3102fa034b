import { createApp } from 'vue'
import '@/shared/base.css'
import './admin.css'
import { useTexts } from '@/shared/language'
import shared_en from '@/shared/locales/en.json'
import shared_zh from '@/shared/locales/zh.json'
import App from './App.vue'
import en from './locales/en.json'
import zh from './locales/zh.json'
import { router } from './router'

useTexts({ zh: { ...shared_zh, ...zh }, en: { ...shared_en, ...en } })
createApp(App).use(router).mount('#app')
