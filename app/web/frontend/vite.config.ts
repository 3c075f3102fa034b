import { fileURLToPath, URL } from 'node:url'
import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vitest/config'
import { precompress } from './precompress.ts'
import { serviceWorker } from './service-worker.ts'

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))

const FIRST = 'm'
/** Screens of a phone that nobody opens every day; they come together, after the first one. */
const SELDOM = /src\/m\/views\/(Certificates|Certify|Claim|Invite|Labels|Merge|Notices|Places|Process|Reset|Staff)/

// Three small programs share src/shared; none of them downloads another's kit. Each is built by itself
// (`--mode gate`): in one build they would share all of Vue that any of them uses.
export default defineConfig(({ mode }) => ({
  base: '/screens/',
  plugins: [vue(), serviceWorker('gate'), serviceWorker('m'), precompress()],
  resolve: { alias: { '@': here('./src') } },
  // What none of us uses is left out of the library that all download.
  define: {
    __VUE_OPTIONS_API__: 'false',
    __VUE_PROD_DEVTOOLS__: 'false',
    __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: 'false',
  },
  build: {
    outDir: here('../screens'),
    emptyOutDir: mode === FIRST,
    target: 'es2022',
    sourcemap: false,
    // Every browser that has our target knows how to preload modules.
    modulePreload: { polyfill: false },
    rollupOptions: {
      input: { [mode]: here(`${mode}.html`) },
      // Small files of much the same words are smaller as one.
      output: { codeSplitting: { includeDependenciesRecursively: false, groups: [{ name: 'seldom', test: SELDOM }] } },
    },
  },
  worker: { format: 'es' },
  test: { environment: 'node', include: ['src/**/*.test.ts'] },
}))
