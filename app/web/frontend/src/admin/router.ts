import { nextTick } from 'vue'
import { createRouter, createWebHistory, type RouteRecordRaw } from 'vue-router'
import SearchView from './views/SearchView.vue'

/** Every screen but the first is fetched when it is opened. */
const routes: RouteRecordRaw[] = [
  { path: '/', name: 'search', component: SearchView },
  { path: '/lots/:lot', name: 'trace', component: () => import('./views/TraceView.vue'), props: true },
  { path: '/tickets/:ticket', name: 'ticket', component: () => import('./views/TicketView.vue'), props: true },
  { path: '/tests', name: 'tests', component: () => import('./views/SamplesView.vue') },
  { path: '/tests/:sample', name: 'test', component: () => import('./views/SampleView.vue'), props: true },
  { path: '/holds', name: 'holds', component: () => import('./views/HoldsView.vue') },
  { path: '/recalls', name: 'recalls', component: () => import('./views/RecallsView.vue') },
  { path: '/recalls/new', name: 'open-recall', component: () => import('./views/OpenRecallView.vue') },
  { path: '/recalls/:recall', name: 'recall', component: () => import('./views/RecallView.vue'), props: true },
  { path: '/warnings', name: 'warnings', component: () => import('./views/WarningsView.vue') },
  { path: '/reports', name: 'reports', component: () => import('./views/ReportsView.vue') },
  { path: '/gate-cases', name: 'gate-cases', component: () => import('./views/GateCasesView.vue') },
  { path: '/market', name: 'market', component: () => import('./views/MarketView.vue') },
  { path: '/staff', name: 'staff', component: () => import('./views/StaffView.vue') },
  { path: '/parties', name: 'parties', component: () => import('./views/PartiesView.vue') },
  { path: '/parties/:party', name: 'party', component: () => import('./views/PartyView.vue'), props: true },
  { path: '/limits', name: 'limits', component: () => import('./views/LimitsView.vue') },
  { path: '/:rest(.*)*', redirect: '/' },
]

export const router = createRouter({ history: createWebHistory('/admin'), routes })

// Whoever walks by keyboard or listens begins at the top of the new screen, not in the menu.
router.afterEach((to, from) => {
  if (!from.name || to.path === from.path) return
  void nextTick(() => document.getElementById('content')?.focus())
})
