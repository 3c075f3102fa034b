/** One address for each screen; the first comes at once, the others as soon as there is time. */
import { createRouter, createWebHistory } from 'vue-router'
import Again from './views/Again.vue'

declare module 'vue-router' {
  interface RouteMeta {
    /** Key of the title. */
    title: string
    /** Opens without an account. */
    open?: boolean
  }
}

export const router = createRouter({
  history: createWebHistory('/m'),
  scrollBehavior: (_to, _from, saved) => saved ?? { top: 0 },
  routes: [
    { path: '/', component: Again, meta: { title: 'again' } },
    { path: '/new', component: () => import('./views/NewTicket.vue'), meta: { title: 'newTicket' } },
    { path: '/check', component: () => import('./views/Check.vue'), meta: { title: 'check' } },
    { path: '/tickets', component: () => import('./views/Tickets.vue'), meta: { title: 'tickets' } },
    { path: '/ticket/:id', component: () => import('./views/TicketCode.vue'), props: true, meta: { title: 'ticket' } },
    { path: '/receive', component: () => import('./views/Receive.vue'), meta: { title: 'receive' } },
    { path: '/receive/:id', component: () => import('./views/Decide.vue'), props: true, meta: { title: 'receive' } },
    { path: '/stock', component: () => import('./views/Stock.vue'), meta: { title: 'stock' } },
    { path: '/stock/:id', component: () => import('./views/LotPage.vue'), props: true, meta: { title: 'lot' } },
    { path: '/merge', component: () => import('./views/Merge.vue'), meta: { title: 'merge' } },
    { path: '/process/:id', component: () => import('./views/Process.vue'), props: true, meta: { title: 'process' } },
    { path: '/certify/:id', component: () => import('./views/Certify.vue'), props: true, meta: { title: 'certify' } },
    { path: '/certificates', component: () => import('./views/Certificates.vue'), meta: { title: 'certificates' } },
    { path: '/labels/:kind?/:id?', component: () => import('./views/Labels.vue'), props: true, meta: { title: 'labels' } },
    { path: '/places', component: () => import('./views/Places.vue'), meta: { title: 'places' } },
    { path: '/invite', component: () => import('./views/Invite.vue'), meta: { title: 'invite' } },
    { path: '/staff', component: () => import('./views/Staff.vue'), meta: { title: 'staff' } },
    { path: '/claim', component: () => import('./views/Claim.vue'), meta: { title: 'claim', open: true } },
    { path: '/notices', component: () => import('./views/Notices.vue'), meta: { title: 'notices' } },
    { path: '/reset', component: () => import('./views/Reset.vue'), meta: { title: 'reset', open: true } },
    { path: '/waiting', component: () => import('./views/Waiting.vue'), meta: { title: 'waiting' } },
    { path: '/more', component: () => import('./views/More.vue'), meta: { title: 'more' } },
    { path: '/:rest(.*)*', redirect: '/' },
  ],
})

/** Fetch the other screens, so that they open when the network is gone. */
export async function fetchScreens(): Promise<void> {
  for (const { components } of router.getRoutes()) {
    const screen = components?.['default']
    if (typeof screen !== 'function') continue
    try {
      await (screen as () => Promise<unknown>)()
    } catch {
      // It is asked for again when it is opened.
      return
    }
  }
}
