# the same runs through what people wrap them in: script(1) typescripts, asciinema recordings (v2, v3), ts(1)
# record CASE OUTCOME EXIT P/F/E/S|- COMMAND [S:FILE:LINE:COLUMN:CODE…]
record() {
  local case=$1 exit=$3 command=$5 code
  rm -f /tmp/captures/in && mkfifo /tmp/captures/in
  TERM=xterm-256color timeout 120 script -qfec "$command" "$DIR/$case.typescript" <>/tmp/captures/in >/dev/null 2>&1
  code=$?
  [[ $code = "$exit" ]] || echo "$TOOL/$case: script: exit $code, not $exit" >&2
  TERM=xterm-256color timeout 120 asciinema rec -q --overwrite --cols 100 --rows 30 -c "$command" "$DIR/$case.v2.cast" <>/tmp/captures/in >/dev/null 2>&1
  TERM=xterm-256color timeout 120 /home/dev/.asciinema3/bin/asciinema rec -q --headless --return --window-size 100x30 -c "$command" "$DIR/$case.v3.cast" <>/tmp/captures/in >/dev/null 2>&1
  code=$?
  [[ $code = "$exit" ]] || echo "$TOOL/$case: asciinema: exit $code, not $exit" >&2
  bash -c "set -o pipefail; { $command; } 2>&1 | ts '%Y-%m-%dT%H:%M:%.SZ'" <<<'' >"$DIR/$case.ts.txt" 2>&1
  truth "$TOOL/$case" "$1_" "$exit" "$4" "$command" "${@:6}" | sed "s/\"outcome\":\"$1_\"/\"outcome\":\"$2\"/" >>"$DIR/truth"
}

tool wrapped sh -c 'script --version; asciinema --version; /home/dev/.asciinema3/bin/asciinema --version' 
printf 'wrapped\t%s, %s, %s\n' "$(script --version)" "$(asciinema --version)" "$(/home/dev/.asciinema3/bin/asciinema --version)" >"$DIR/version"
put test_shop.py <<'X'
import pytest


def test_good():
    assert 1 + 2 == 3


def test_wrong():
    assert 1 + 2 == 4


@pytest.mark.skip(reason="later")
def test_later():
    pass
X
record pytest-failing failed 1 1/1/0/1 'pytest' E:test_shop.py:9::
record pytest-passing complete 0 1/0/0/0 'pytest -k good'
put Cargo.toml <<'X'
[package]
name = "shop"
version = "0.1.0"
edition = "2021"
X
put src/lib.rs <<'X'
#[test]
fn good() {}

#[test]
fn wrong() {
    assert_eq!(1 + 2, 4);
}
X
record cargo-test-failing failed 101 1/1/0/0 'cargo test' E:src/lib.rs:6:5:
put src/lib.rs <<'X'
pub fn price(name: &str) -> u32 {
    name
}
X
record cargo-build-errors failed 101 - 'cargo build' E:src/lib.rs:2:5:E0308
put a.c <<'X'
int main(void) {
    return totl;
}
X
put Makefile <<<$'a: a.c\n\tgcc -o a a.c'
record make-errors failed 2 - 'make' E:a.c:2:12: X:Makefile:2::
fresh
put package.json <<<'{ "name": "shop" }'; node_modules
put sum.test.js <<'X'
it("adds", () => {
  expect(1 + 2).toBe(3);
});
it("is wrong", () => {
  expect(1 + 2).toBe(4);
});
X
record jest-failing failed 1 1/1/0/0 'jest' E:sum.test.js:5:17:
put sum.test.ts <<'X'
import { expect, it } from "vitest";
it("adds", () => {
  expect(1 + 2).toBe(3);
});
it("is wrong", () => {
  expect(1 + 2).toBe(4);
});
X
rm sum.test.js
record vitest-failing failed 1 1/1/0/0 'vitest run' E:sum.test.ts:6:17:
