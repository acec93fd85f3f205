# tsc, eslint, prettier, biome, oxlint, standard, stylelint, markdownlint, jest, vitest, mocha, ava, tap, jasmine, qunit, node:test, node, deno, bun, npm, webpack, vite, rollup, esbuild, solc
ts() {
  put src/a.ts <<'X'
export function price(name: string): number {
  return name;
}

const total: number = "three";
undefinedThing();
export const n = price(3);
X
  put src/b.ts <<'X'
import { price, nothing } from "./a";
console.log(price("apple"), nothing);
X
}
tool tsc /home/dev/node_modules/.bin/tsc --version
ts; node_modules
put tsconfig.json <<'X'
{ "compilerOptions": { "strict": true, "noEmit": true, "skipLibCheck": true, "types": [], "target": "es2020", "module": "esnext", "moduleResolution": "bundler" }, "include": ["src"] }
X
E="E:src/a.ts:2:3:TS2322 E:src/a.ts:5:7:TS2322 E:src/a.ts:6:1:TS2304 E:src/a.ts:7:24:TS2345 E:src/b.ts:1:17:TS2305 X:src/b.ts:2:13:TS2584"
# shellcheck disable=SC2086
shoot errors failed 2 - 'tsc' $E
FORMS=plain shoot plain failed 2 - 'tsc --pretty false' $E
put src/a.ts <<<'export function price(n: string): number { return n.length; }'
put src/b.ts <<<'import { price } from "./a"; export const x = price("a");'
FORMS=plain ACCEPT=unknown shoot passing complete 0 - 'tsc'
put tsconfig.json <<<'{ "include": ["nowhere"] }'
FORMS=plain shoot no-input failed 2 - 'tsc' X:tsconfig.json:::
put tsconfig.json <<<'{ "compilerOptions": { "strct": true }, "include": ["src"] }'
shoot bad-option failed 2 - 'tsc' E:tsconfig.json:1:24:TS5025

lint_js() {
  put a.js <<'X'
const unused = 3;
var x = undefinedThing;
if (x == 3) {
  debugger;
}
X
  put w.js <<'X'
let y = 4;
console.log(y);
X
  put bad.js <<'X'
function f( {
  return 1;
}
X
  put ok.js <<'X'
export const a = 3;
X
}
tool eslint /home/dev/node_modules/.bin/eslint --version
lint_js; node_modules
put eslint.config.js <<'X'
const js = require("@eslint/js");
module.exports = [js.configs.recommended, { rules: { "prefer-const": "warn", eqeqeq: "error", "no-undef": "error" } }];
X
COLOUR='eslint --color a.js w.js' shoot errors failed 1 - 'eslint a.js w.js' E:a.js:1:7:no-unused-vars E:a.js:2:9:no-undef E:a.js:3:7:eqeqeq E:a.js:4:3:no-debugger W:w.js:1:5:prefer-const E:w.js:2:1:no-undef
put v.js <<<'let z = 4; module.exports = z;'
COLOUR='eslint --color v.js --global module' shoot warnings complete 0 - 'eslint v.js --global module' W:v.js:1:5:prefer-const
COLOUR='eslint --color bad.js' shoot syntax failed 1 - 'eslint bad.js' E:bad.js:2:3:
FORMS=plain ACCEPT=unknown shoot passing complete 0 - 'eslint ok.js'
COLOUR='eslint --color --max-warnings 0 v.js --global module' shoot max-warnings failed 1 - 'eslint --max-warnings 0 v.js --global module' W:v.js:1:5:prefer-const
put eslint.config.js <<<'module.exports = [{ rules: { "no-such-rule": "error" } }];'
FORMS=plain shoot config-error failed 2 - 'eslint a.js'

tool prettier /home/dev/node_modules/.bin/prettier --version
lint_js; node_modules
put ugly.js <<<"const a   =  'x'"
COLOUR='prettier --color --check ugly.js ok.js' shoot differs failed 1 - 'prettier --check ugly.js ok.js' X:ugly.js:::
COLOUR='prettier --color --check bad.js' shoot syntax failed 2 - 'prettier --check bad.js' E:bad.js:2:10:
FORMS=plain shoot passing complete 0 - 'prettier --check ok.js'

tool biome /home/dev/node_modules/.bin/biome --version
lint_js; node_modules
COLOUR='biome lint --colors=force a.js' shoot errors failed 1 - 'biome lint a.js' W:a.js:1:7:lint/correctness/noUnusedVariables E:a.js:3:7:lint/suspicious/noDoubleEquals E:a.js:4:3:lint/suspicious/noDebugger
COLOUR='biome lint --colors=force ok.js' shoot passing complete 0 - 'biome lint ok.js'

tool oxlint /home/dev/node_modules/.bin/oxlint --version
lint_js; node_modules
shoot errors failed 1 - 'oxlint --deny correctness a.js' E:a.js:1:7: E:a.js:4:3:
shoot warnings complete 0 - 'oxlint a.js' W:a.js:1:7: W:a.js:4:3:

tool standard /home/dev/node_modules/.bin/standard --version
lint_js; node_modules
FORMS=plain shoot errors failed 1 - 'standard a.js' A:a.js:1:7:no-unused-vars A:a.js:1:17:semi W:a.js:2:1:no-var A:a.js:2:9:no-undef A:a.js:2:23:semi A:a.js:3:7:eqeqeq A:a.js:4:3:no-debugger A:a.js:4:11:semi

tool stylelint /home/dev/node_modules/.bin/stylelint --version
node_modules
put .stylelintrc.json <<<'{ "extends": "stylelint-config-standard" }'
put a.css <<'X'
a { colr: red; }
b { color: #FFFFFF; }
X
COLOUR='stylelint --color a.css' shoot errors failed 2 - 'stylelint a.css' E:a.css:1:5:property-no-unknown E:a.css:2:12:color-hex-length

tool markdownlint /home/dev/node_modules/.bin/markdownlint-cli2 --help
node_modules
put a.md <<'X'
#No space
Text  
* a
X
FORMS=plain shoot errors failed 1 - 'markdownlint-cli2 a.md' E:a.md:1:1: E:a.md:1:: E:a.md:3::

tool htmlhint /home/dev/node_modules/.bin/htmlhint --version
node_modules
put a.html <<'X'
<!DOCTYPE html>
<html><body>
<p>open
<img src=a.png>
</body></html>
X
shoot errors failed 1 - 'htmlhint a.html' E:a.html:4:: E:a.html:3::

jest_files() {
  put sum.js <<'X'
exports.sum = (a, b) => a + b;
exports.boom = () => {
  throw new TypeError("boom");
};
X
  put sum.test.js <<'X'
const { sum, boom } = require("./sum");

describe("sum", () => {
  it("adds", () => {
    expect(sum(1, 2)).toBe(3);
  });
  it.skip("later", () => {});
});
X
}
jest_bad() {
  cat >>sum.test.js <<'X'

it("is wrong", () => {
  expect(sum(1, 2)).toBe(4);
});

it("throws", () => {
  boom();
});

it("prints", () => {
  console.log("Tests: 9 failed, 1 passed, 10 total");
});
X
}
tool jest /home/dev/node_modules/.bin/jest --version
jest_files; put package.json <<<'{ "name": "shop" }'; node_modules
COLOUR='jest --color' shoot passing complete 0 1/0/0/1 'jest'
jest_bad
COLOUR='jest --color' shoot failing failed 1 2/2/0/1 'jest' 'E:sum.test.js:/toBe(4)/:21:' 'E:sum.js:/boom")/:9:'
COLOUR='jest --color --verbose --coverage' shoot coverage failed 1 2/2/0/1 'jest --verbose --coverage' 'E:sum.test.js:/toBe(4)/:21:' 'E:sum.js:/boom")/:9:'
put sum.test.js <<<'const x = require("./nothing"); it("a", () => {});'
put good.test.js <<<'it("good", () => {});'
COLOUR='jest --color' shoot import-error failed 1 1/0/0/0 'jest' X:sum.test.js:1::
put sum.test.js <<<'it("a", () => {'
COLOUR='jest --color' shoot syntax-error failed 1 1/0/0/0 'jest' 'X:sum.test.js:1::' X:sum.test.js:2::
rm -f ./*.test.js
COLOUR='jest --color' FORMS=plain shoot none failed 1 - 'jest'

vitest_files() {
  put sum.test.ts <<'X'
import { describe, expect, it } from "vitest";
import { sum, boom } from "./sum";

describe("sum", () => {
  it("adds", () => {
    expect(sum(1, 2)).toBe(3);
  });
  it.skip("later", () => {});
  it.todo("write");
});
X
  put sum.ts <<'X'
export const sum = (a: number, b: number) => a + b;
export function boom() {
  throw new TypeError("boom");
}
X
}
tool vitest /home/dev/node_modules/.bin/vitest --version
vitest_files; node_modules
shoot passing complete 0 1/0/0/2 'vitest run'
jest_bad; cat sum.test.js >>sum.test.ts; rm sum.test.js
shoot failing failed 1 2/2/0/2 'vitest run' 'E:sum.test.ts:/toBe(4)/:21:' 'E:sum.ts:/boom")/:9:'
put flaky.test.ts <<'X'
import { expect, it } from "vitest";
let n = 0;
it("flaky", { retry: 2 }, () => {
  expect(++n).toBe(2);
});
X
FORMS=plain shoot flaky complete 0 1/0/0/0 'vitest run flaky'
put broken.test.ts <<'X'
import { it } from "vitest";
import { nothing } from "./nothing";
it("a", () => nothing());
X
shoot import-error failed 1 - 'vitest run broken' X:broken.test.ts:2:: X:broken.test.ts:3::

mocha_files() {
  put test/sum.js <<'X'
const assert = require("assert");

describe("sum", () => {
  it("adds", () => {
    assert.equal(1 + 2, 3);
  });
  it.skip("later", () => {});
});
X
}
tool mocha /home/dev/node_modules/.bin/mocha --version
mocha_files; node_modules
COLOUR='mocha --color' shoot passing complete 0 1/0/0/1 'mocha'
cat >>test/sum.js <<'X'

it("is wrong", () => {
  assert.equal(1 + 2, 4);
});

it("is slow", function (done) {
  this.timeout(50);
});
X
COLOUR='mocha --color' shoot failing failed 2 1/2/0/1 'mocha' 'E:test/sum.js:/2, 4)/:10:' X:test/sum.js:::
COLOUR='mocha --color -R tap' FORMS=plain shoot tap failed 2 1/2/0/1 'mocha -R tap' 'X:test/sum.js:/2, 4)/:10:'
COLOUR='mocha --color -R dot' shoot dot failed 2 1/2/0/1 'mocha -R dot' 'E:test/sum.js:/2, 4)/:10:' X:test/sum.js:::
put test/bad.js <<<'require("./nothing");'
FORMS=plain shoot load-error failed 1 - 'mocha' 'E:test/bad.js:1:1:'

tool node-test node --version
put a.test.js <<'X'
const test = require("node:test");
const assert = require("node:assert");

test("adds", () => {
  assert.equal(1 + 2, 3);
});
test("later", { skip: "later" }, () => {});
X
FORMS=plain shoot passing-tap complete 0 1/0/0/1 'node --test --test-reporter=tap'
COLOUR='FORCE_COLOR=1 node --test --test-reporter=spec' shoot passing-spec complete 0 1/0/0/1 'node --test --test-reporter=spec'
cat >>a.test.js <<'X'
test("is wrong", () => {
  assert.equal(1 + 2, 4);
});
test("throws", () => {
  throw new TypeError("boom");
});
test("known", { todo: true }, () => {
  assert.ok(false);
});
X
FORMS=plain shoot failing-tap failed 1 1/2/0/2 'node --test --test-reporter=tap' 'E:a.test.js:/2, 4)/:10:' 'E:a.test.js:/boom/:9:' X:a.test.js:::
COLOUR='FORCE_COLOR=1 node --test --test-reporter=spec' shoot failing-spec failed 1 1/2/0/2 'node --test --test-reporter=spec' 'E:a.test.js:/2, 4)/:10:' 'E:a.test.js:/boom/:9:' X:a.test.js:::
put a.test.js <<<'const x = require("./nothing");'
FORMS=plain shoot load-error failed 1 0/1/0/0 'node --test' X:a.test.js:::

tool ava /home/dev/node_modules/.bin/ava --version
node_modules; put package.json <<<'{ "name": "shop", "type": "module" }'
put test.js <<'X'
import test from "ava";
test("adds", (t) => {
  t.is(1 + 2, 3);
});
test.skip("later", (t) => t.pass());
X
COLOUR='FORCE_COLOR=1 ava --color' shoot passing complete 0 1/0/0/1 'ava'
cat >>test.js <<'X'
test("is wrong", (t) => {
  t.is(1 + 2, 4);
});
X
COLOUR='FORCE_COLOR=1 ava --color' shoot failing failed 1 1/1/0/1 'ava' 'E:test.js:/2, 4)/::'

tool jasmine node -p 'require("/home/dev/node_modules/jasmine/package.json").version'
node_modules; put package.json <<<'{ "name": "shop" }'
put spec/a_spec.js <<'X'
describe("sum", () => {
  it("adds", () => expect(1 + 2).toBe(3));
  xit("later", () => {});
  it("is wrong", () => {
    expect(1 + 2).toBe(4);
  });
});
X
COLOUR='jasmine --color "spec/*.js"' shoot failing failed 3 1/1/0/1 'jasmine --no-color "spec/*.js"' 'E:spec/a_spec.js:/toBe(4)/:19:'

tool qunit /home/dev/node_modules/.bin/qunit --version
node_modules
put test/a.js <<'X'
QUnit.test("adds", (assert) => assert.equal(1 + 2, 3));
QUnit.test("is wrong", (assert) => {
  assert.equal(1 + 2, 4);
});
QUnit.skip("later");
X
FORMS=plain shoot failing failed 1 1/1/0/1 'qunit' 'E:test/a.js:/2, 4)/:10:'

tool tap /home/dev/node_modules/.bin/tap --version
node_modules; put package.json <<<'{ "name": "shop" }'
put test/a.js <<'X'
const t = require("tap");
t.test("adds", (t) => {
  t.equal(1 + 2, 3);
  t.end();
});
t.test("is wrong", (t) => {
  t.equal(1 + 2, 4);
  t.end();
});
X
COLOUR='tap --color --disable-coverage' shoot failing failed 1 - 'tap --no-color --disable-coverage' 'E:test/a.js:/2, 4)/::'

tool node node --version
put a.js <<'X'
function price(name) {
  return { apple: 3 }[name].toFixed();
}
console.log("starting");
price("plum");
X
FORMS=plain shoot throw failed 1 - 'node a.js' E:a.js:2:29:
put b.js <<'X'
const x = {
  a: 1
  b: 2
};
X
FORMS=plain shoot syntax failed 1 - 'node b.js' E:b.js:3::
put c.js <<'X'
async function main() {
  await Promise.reject(new Error("late"));
}
main();
X
FORMS=plain shoot rejection failed 1 - 'node c.js' E:c.js:2:24:
put d.js <<<'require("./nothing");'
FORMS=plain shoot no-module failed 1 - 'node d.js' E:d.js:1:1:
put e.mjs <<<'import { nothing } from "./f.mjs";'; put f.mjs <<<'export const a = 1;'
FORMS=plain shoot no-export failed 1 - 'node e.mjs' E:e.mjs:1::
put g.js <<'X'
try { null.x } catch (e) { console.error(e) }
console.log("went on");
X
FORMS=plain ACCEPT='unknown failed' shoot caught complete 0 - 'node g.js' X:g.js:1::
FORMS=plain shoot heap failed 134 - 'bash -c "node --max-old-space-size=8 -e \"const a=[];for(;;)a.push(new Array(1e4).fill(1.5))\"; exit \$?"'

tool npm npm --version
put package.json <<'X'
{ "name": "shop", "version": "1.0.0", "scripts": { "build": "node build.js", "test": "echo \"Error: no test specified\" && exit 1", "ok": "echo fine" } }
X
put build.js <<<'process.exit(3);'
FORMS=plain ACCEPT=unknown shoot script-fails failed 3 - 'npm run build'
FORMS=plain shoot no-test failed 1 - 'npm test'
FORMS=plain ACCEPT=unknown shoot passing complete 0 - 'npm run ok'
shoot missing-script failed 1 - 'npm run nothing'
FORMS=plain shoot offline failed 1 - 'npm install --fetch-retries 0 left-pad'
put package.json <<<'{ "name": "shop", }'
FORMS=plain shoot bad-json failed 1 - 'npm install' X:package.json:::

tool deno /home/dev/node_modules/.bin/deno --version
node_modules
put a.ts <<'X'
const x: number = "three";
console.log(y);
X
COLOUR='deno check a.ts' shoot check failed 1 - 'NO_COLOR=1 deno check a.ts' E:a.ts:1:7:TS2322 E:a.ts:2:13:TS2304
put a_test.ts <<'X'
Deno.test("adds", () => {
  if (1 + 2 !== 3) throw new Error("no");
});
Deno.test("is wrong", () => {
  throw new Error("wrong");
});
Deno.test.ignore("later", () => {});
X
COLOUR='deno test --no-check a_test.ts' shoot test-failing failed 1 1/1/0/1 'NO_COLOR=1 deno test --no-check a_test.ts' 'E:a_test.ts:/"wrong")/:9:'
put b_test.ts <<'X'
Deno.test("adds", () => {});
X
COLOUR='deno test --no-check b_test.ts' shoot test-passing complete 0 1/0/0/0 'NO_COLOR=1 deno test --no-check b_test.ts'
put l.js <<'X'
let a = 3;
debugger;
X
COLOUR='deno lint l.js' shoot lint failed 1 - 'NO_COLOR=1 deno lint l.js' E:l.js:1:5:no-unused-vars E:l.js:1:5:prefer-const E:l.js:2:1:no-debugger

tool bun /home/dev/node_modules/.bin/bun --version
node_modules
put a.test.ts <<'X'
import { expect, test } from "bun:test";
test("adds", () => {
  expect(1 + 2).toBe(3);
});
test("is wrong", () => {
  expect(1 + 2).toBe(4);
});
test.skip("later", () => {});
X
COLOUR='FORCE_COLOR=1 bun test' shoot failing failed 1 1/1/0/1 'bun test' 'E:a.test.ts:/toBe(4)/:17:'
put a.test.ts <<'X'
import { expect, test } from "bun:test";
test("adds", () => {});
X
FORMS=plain shoot passing complete 0 1/0/0/0 'bun test'
put a.ts <<'X'
function f() {
  throw new Error("boom");
}
f();
X
FORMS=plain shoot throw failed 1 - 'bun a.ts' E:a.ts:2:13:

tool webpack node -p 'require("/home/dev/node_modules/webpack/package.json").version'
node_modules
put src/index.js <<'X'
import x from "./nothing";
console.log(x);
X
COLOUR='webpack --color --mode development' shoot errors failed 1 - 'webpack --mode development' E:src/index.js:1:0:
put src/index.js <<<'console.log(1);'
COLOUR='webpack --color --mode development' shoot passing complete 0 - 'webpack --mode development'

tool vite /home/dev/node_modules/.bin/vite --version
node_modules
put index.html <<<'<script type="module" src="/src/main.js"></script>'
put src/main.js <<'X'
import x from "./nothing.js";
console.log(x);
X
shoot errors failed 1 - 'vite build' X:src/main.js::: X:index.html::: X:rollup/dist/es/shared/parseAst.js:::
put src/main.js <<<'console.log(1);'
shoot passing complete 0 - 'vite build'

tool rollup /home/dev/node_modules/.bin/rollup --version
node_modules
put a.js <<'X'
import { nothing } from "./b.js";
console.log(nothing);
X
put b.js <<<'export const a = 1;'
COLOUR='rollup a.js -o out.js' shoot errors failed 1 - 'NO_COLOR=1 rollup a.js -o out.js' E:a.js:1:9:

tool esbuild /home/dev/node_modules/.bin/esbuild --version
node_modules
put a.ts <<'X'
import x from "./nothing";
let y = ;
X
COLOUR='esbuild --color=true --bundle a.ts --outfile=o.js' shoot errors failed 1 - 'esbuild --bundle a.ts --outfile=o.js' E:a.ts:2:8:
put b.ts <<'X'
import x from "./nothing";
console.log(x, typeof y === "undefned");
X
COLOUR='esbuild --color=true --bundle b.ts --outfile=o.js' shoot unresolved failed 1 - 'esbuild --bundle b.ts --outfile=o.js' E:b.ts:1:14: W:b.ts:2:28:
put b.ts <<<'console.log(1);'
COLOUR='esbuild --color=true --bundle b.ts --outfile=o.js' shoot passing complete 0 - 'esbuild --bundle b.ts --outfile=o.js'

tool solhint /home/dev/node_modules/.bin/solhint --version
node_modules
put .solhint.json <<<'{ "extends": "solhint:recommended" }'
put a.sol <<'X'
pragma solidity ^0.4.0;
contract A {
  function f() { throw; }
}
X
FORMS=plain shoot findings failed 1 - 'solhint --disc a.sol' E:a.sol:1:1:compiler-version W:a.sol:2:1:use-natspec W:a.sol:2:1:use-natspec W:a.sol:2:1:use-natspec W:a.sol:3:3:func-visibility W:a.sol:3:18:avoid-throw
