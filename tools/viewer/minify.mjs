// SPDX-License-Identifier: Apache-2.0
// Minifies the bundles of a tree in place; license comments move to each file's end.
// Usage: node minify.mjs TREE
import fs from 'node:fs';
import path from 'node:path';
import { transform } from 'esbuild';

const tree = process.argv[2];
for (const name of fs.readdirSync(tree)) {
  if (!name.endsWith('.js') || name === 'boot.js') continue;
  const file = path.join(tree, name);
  const { code } = await transform(fs.readFileSync(file, 'utf8'), {
    minify: true,
    legalComments: 'eof',
    target: 'es2022',
  });
  fs.writeFileSync(file, code);
}
