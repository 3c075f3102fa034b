import { readFileSync } from 'node:fs'
import { createHash } from 'node:crypto'
import { fileURLToPath, URL } from 'node:url'
import type { Plugin } from 'vite'

/**
 * Write a service worker `<program>-sw.js` that keeps a program's page and all that it loads, so
 * that it opens offline.
 *
 * Our own forty lines: the usual plugin brings a second bundler along, whose optional packages for
 * other platforms break `npm ci`.
 */
export function serviceWorker(program: 'm' | 'gate'): Plugin {
  return {
    name: `${program}-service-worker`,
    apply: 'build',
    enforce: 'post',
    generateBundle(_, bundle) {
      const needed = new Set<string>()
      const visit = (file: string): void => {
        const chunk = bundle[file]
        if (needed.has(file) || !chunk) return
        needed.add(file)
        if (chunk.type !== 'chunk') return
        for (const next of [...chunk.imports, ...chunk.dynamicImports]) visit(next)
        chunk.viteMetadata?.importedCss.forEach((css) => needed.add(css))
        chunk.viteMetadata?.importedAssets.forEach((asset) => needed.add(asset))
      }
      for (const chunk of Object.values(bundle))
        if (chunk.type === 'chunk' && chunk.isEntry && chunk.name === program) visit(chunk.fileName)
      // Another build than that of this page.
      if (!needed.size) return
      // Workers and their wasm are assets that no chunk imports: their names say whose they are.
      for (const file of Object.keys(bundle))
        if (/(scanner|zxing)[^/]*\.(js|wasm)$/.test(file)) needed.add(file)
      const files = [...needed].sort().map((file) => `/screens/${file}`)
      const version = createHash('sha256').update(files.join()).digest('hex').slice(0, 12)
      const template = fileURLToPath(new URL('./src/shared/sw.js', import.meta.url))
      const source = readFileSync(template, 'utf8')
        .replace('__PROGRAM__', program)
        .replace('__VERSION__', version)
        .replace('__FILES__', JSON.stringify(files))
      this.emitFile({ type: 'asset', fileName: `${program}-sw.js`, source })
    },
  }
}
