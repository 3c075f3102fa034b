import { fileURLToPath, URL } from 'node:url'
import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vitest/config'
import { precompress } from './precompress.ts'
import { serviceWorker } from './service-worker.ts'

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))

// Three small programs share src/shared; none of them downloads another's kit. The gate is built by
// itself (`--mode gate`): in one build with the others it would share their whole Vue, of which it
// uses half.
export default defineConfig(({ mode }) => ({
  base: '/screens/',
  plugins: [vue(), serviceWorker('gate'), serviceWorker('m'), precompress()],
  resolve: { alias: { '@': here('./src') } },
  // What none of us uses is left out of the two libraries that all download.
  define: {
    __VUE_OPTIONS_API__: 'false',
    __VUE_PROD_DEVTOOLS__: 'false',
    __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: 'false',
    __VUE_I18N_LEGACY_API__: 'false',
    __VUE_I18N_FULL_INSTALL__: 'false',
    __INTLIFY_PROD_DEVTOOLS__: 'false',
  },
  build: {
    outDir: here('../screens'),
    emptyOutDir: mode !== 'gate',
    target: 'es2022',
    sourcemap: false,
    // Every browser that has our target knows how to preload modules.
    modulePreload: { polyfill: false },
    rollupOptions: {
      input: mode === 'gate' ? { gate: here('gate.html') } : { m: here('m.html'), admin: here('admin.html') },
    },
  },
  worker: { format: 'es' },
  test: { environment: 'node', include: ['src/**/*.test.ts'] },
}))
