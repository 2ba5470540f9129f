// SPDX-License-Identifier: Apache-2.0
// Bundles OHIF's decode worker again, with codec releases that were compiled without dynamic code
// execution. Usage, in the folder that holds node_modules: node build_worker.mjs OUT
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';
import { build } from 'esbuild';

const require = createRequire(path.join(process.cwd(), 'here.js'));
const out = process.argv[2];
const CODEC_URL = /new URL\('(@cornerstonejs\/codec-[^']+)', import\.meta\.url\)/g;
const DYNAMIC_CODE = /new Function\(|[^\w.]Function\(|[^\w.]eval\(/g;

const codecs = {
  name: 'codecs',
  setup(bundle) {
    // The codecs pinned beside us, never an older copy nested in another package.
    bundle.onResolve({ filter: /^@cornerstonejs\/codec-/ }, it => ({ path: require.resolve(it.path) }));
    // The codecs ask for these only when they run in node.
    bundle.onResolve({ filter: /^(fs|path|crypto|url|worker_threads|node:.*|module)$/ }, it => ({ path: it.path, namespace: 'empty' }));
    bundle.onLoad({ filter: /.*/, namespace: 'empty' }, () => ({ contents: 'export default {}', loader: 'js' }));
    // Addresses of .wasm files become imports, so that the bundler copies the files.
    bundle.onLoad({ filter: /decoders\/.*\.js$/ }, it => {
      const imports = [];
      const text = fs.readFileSync(it.path, 'utf8').replace(CODEC_URL, (_, name) => {
        imports.push(`import __wasm${imports.length} from '${name}';`);
        return `new URL(__wasm${imports.length - 1}, self.location.href)`;
      });
      return { contents: [...imports, text].join('\n'), loader: 'js' };
    });
  },
};

const loader = require.resolve('@cornerstonejs/dicom-image-loader');
await build({
  entryPoints: [loader.replace(/dist[\\/].*/, 'dist/esm/decodeImageFrameWorker.js')],
  outfile: path.join(out, 'decode-worker.js'),
  bundle: true,
  format: 'iife',
  minify: true,
  target: 'es2022',
  loader: { '.wasm': 'file' },
  assetNames: '[hash]',
  plugins: [codecs],
  define: { __dirname: '"/"', 'process.versions.node': 'undefined' },
  logLevel: 'warning',
});

const found = fs.readFileSync(path.join(out, 'decode-worker.js'), 'utf8').match(DYNAMIC_CODE);
if (found) {
  console.error(`the decode worker still generates code: ${found.join(' ')}`);
  process.exit(1);
}
