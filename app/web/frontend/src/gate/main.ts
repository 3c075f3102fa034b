import { createPinia } from 'pinia'
import { createApp } from 'vue'
import '@/shared/base.css'
import { makeI18n } from '@/shared/language'
import App from './App.vue'
import en from './locales/en.json'
import zh from './locales/zh.json'

createApp(App).use(createPinia()).use(makeI18n({ zh, en })).mount('#app')
