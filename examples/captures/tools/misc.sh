# ghc, hlint, ocaml, latex, lua, luacheck, busted, elixir, erlang, nim, pascal, nasm, R, prolog, guile, sbcl, racket, crystal, zig, ada, C#, vala, D, bazel
tool ghc ghc --version
put A.hs <<'X'
module Main where

price :: String -> Int
price name = name

main :: IO ()
main = print (price 3 + totl)
X
COLOUR='ghc -fdiagnostics-color=always A.hs' shoot errors failed 1 - 'ghc A.hs' E:A.hs:7:25:
put W.hs <<'X'
module Main where
import Data.List
main :: IO ()
main = print (head [])
X
put R.hs <<'X'
main :: IO ()
main = print (head ([] :: [Int]))
X
FORMS=plain shoot exception failed 1 - 'ghc -v0 R.hs && ./R'

tool hlint hlint --version
put A.hs <<'X'
f xs = map g (map h xs)
k = concat (map f [])
X
COLOUR='hlint --color=always A.hs' shoot hints failed 1 - 'hlint --color=never A.hs' A:A.hs:1:: W:A.hs:2::

tool ocaml ocaml -version
put a.ml <<'X'
let price name = name + 1
let () = print_int (price "apple")
X
COLOUR='ocamlc -color always a.ml' shoot errors failed 2 - 'ocamlc a.ml' E:a.ml:2::
put b.ml <<'X'
let f = function Some x -> x
let () = print_int (f (Some 1))
X
COLOUR='ocamlc -color always b.ml' ACCEPT=unknown shoot warnings complete 0 - 'ocamlc b.ml' W:b.ml:1::
put c.ml <<'X'
let () = failwith "boom"
X
FORMS=plain shoot exception failed 2 - 'ocaml c.ml' X:c.ml:1::

tool dune dune --version
put dune-project <<<'(lang dune 2.0)'
put dune <<<'(executable (name a))'
put a.ml <<<'let () = print_int totl'
shoot errors failed 1 - 'dune build --root . ./a.exe' E:a.ml:1::

tool pdflatex pdflatex --version
put a.tex <<'X'
\documentclass{article}
\begin{document}
Hello \nothing world
\end{document}
X
FORMS=plain shoot error failed 1 - 'pdflatex -interaction=nonstopmode a.tex' E:a.tex:3::
FORMS=plain shoot file-line failed 1 - 'pdflatex -interaction=nonstopmode -file-line-error a.tex' E:a.tex:3::
FORMS=plain shoot halt failed 1 - 'pdflatex -interaction=nonstopmode -halt-on-error -file-line-error a.tex' E:a.tex:3::
put b.tex <<'X'
\documentclass{article}
\begin{document}
See \ref{nothing}.
\end{document}
X
FORMS=plain shoot warnings complete 0 - 'pdflatex -interaction=nonstopmode b.tex' X:b.tex:3::
put c.tex <<'X'
\documentclass{article}
\usepackage{nothing}
\begin{document}
\end{document}
X
FORMS=plain shoot missing failed 1 - 'pdflatex -interaction=nonstopmode -file-line-error c.tex' X:c.tex:3:: X:c.tex:2::

tool lua lua5.4 -v
put a.lua <<'X'
local prices = { apple = 3 }
local function price(name)
  return prices[name] + 1
end
print("starting")
price("plum")
X
FORMS=plain shoot error failed 1 - 'lua5.4 a.lua' E:a.lua:3::
put b.lua <<<'local x = = 3'
FORMS=plain shoot syntax failed 1 - 'lua5.4 b.lua' E:b.lua:1::

tool luacheck luacheck --version
put a.lua <<'X'
local unused = 3
print(totl)
X
COLOUR='luacheck --codes a.lua' shoot warnings failed 1 - 'luacheck --codes --no-color a.lua' W:a.lua:1:7:W211 W:a.lua:2:7:W113
put b.lua <<<'local x = = 3'
FORMS=plain shoot syntax failed 2 - 'luacheck --no-color b.lua' E:b.lua:1:11:
put ok.lua <<<'print(3)'
FORMS=plain shoot passing complete 0 - 'luacheck --no-color ok.lua'

tool busted busted --version
put spec/a_spec.lua <<'X'
describe("sum", function()
  it("adds", function() assert.are.equal(3, 1 + 2) end)
  it("is wrong", function()
    assert.are.equal(4, 1 + 2)
  end)
  it("throws", function()
    error("boom")
  end)
  pending("later")
end)
X
FORMS=plain shoot failing failed 1 1/1/1/1 'busted' E:spec/a_spec.lua:4:: E:spec/a_spec.lua:7::

tool elixir elixir --version
put a.exs <<'X'
defmodule Shop do
  def price(name), do: Map.fetch!(%{"apple" => 3}, name)
end
IO.puts("starting")
Shop.price("plum")
X
FORMS=plain shoot exception failed 1 - 'elixir a.exs' E:a.exs:2:: X:a.exs:5::
put b.exs <<'X'
defmodule Shop do
  def f, do: totl
end
X
FORMS=plain shoot compile failed 1 - 'elixir b.exs' E:b.exs:2:: W:b.exs:2::
put t.exs <<'X'
ExUnit.start(colors: [enabled: System.get_env("C") == "1"], seed: 0)
defmodule ShopTest do
  use ExUnit.Case
  test "adds" do
    assert 1 + 2 == 3
  end
  test "is wrong" do
    assert 1 + 2 == 4
  end
  @tag :skip
  test "later" do
  end
end
X
FORMS=plain shoot exunit failed 2 1/1/0/1 'elixir t.exs' E:t.exs:8:: X:t.exs:7::

tool mix mix --version
put mix.exs <<'X'
defmodule Shop.MixProject do
  use Mix.Project
  def project, do: [app: :shop, version: "0.1.0"]
end
X
put lib/shop.ex <<'X'
defmodule Shop do
  def price(name) do
    unused = 3
    totl
  end
end
X
FORMS=plain shoot compile failed 1 - 'mix compile' E:lib/shop.ex:4:: W:lib/shop.ex:4:: W:lib/shop.ex:2:: W:lib/shop.ex:3::
put lib/shop.ex <<<$'defmodule Shop do\n  def price(_), do: 3\nend'
put test/test_helper.exs <<<'ExUnit.start()'
put test/shop_test.exs <<'X'
defmodule ShopTest do
  use ExUnit.Case
  test "price", do: assert Shop.price("a") == 3
end
X
shoot passing complete 0 1/0/0/0 'mix test'

tool erlang erl -noshell -eval 'io:format("~s~n",[erlang:system_info(otp_release)]),halt().'
put a.erl <<'X'
-module(a).
-export([f/0]).
f() -> X + 1.
X
FORMS=plain shoot errors failed 1 - 'erlc a.erl' E:a.erl:3:8:
put t.erl <<'X'
-module(t).
-include_lib("eunit/include/eunit.hrl").
good_test() -> ?assertEqual(3, 1 + 2).
bad_test() ->
    ?assertEqual(4, 1 + 2).
X
FORMS=plain shoot eunit failed 1 1/1/0/0 'erlc t.erl && erl -noshell -eval "case eunit:test(t) of ok -> halt(0); _ -> halt(1) end."' E:t.erl:5:: W:t.erl:5:25:

tool nim nim --version
put a.nim <<'X'
proc price(name: string): int =
  name
echo totl
X
COLOUR='nim c --colors:on a.nim' shoot errors failed 1 - 'nim c --colors:off a.nim' E:a.nim:2:3:

tool fpc fpc -iV
put a.pas <<'X'
program a;
var x: integer;
begin
  x := 'three';
  y := 4;
end.
X
FORMS=plain shoot errors failed 1 - 'fpc a.pas' E:a.pas:4:8: E:a.pas:5:3: X:a.pas:::

tool nasm nasm --version
put a.asm <<'X'
section .text
  mov eax,
  frob ebx
X
FORMS=plain shoot errors failed 1 - 'nasm -f elf64 a.asm' E:a.asm:3::

tool gas as --version
put a.s <<'X'
  movl $3, %eax
  frob %ebx
X
FORMS=plain shoot errors failed 1 - 'as a.s' E:a.s:2::

tool R Rscript --version
put a.R <<'X'
price <- function(name) {
  stop("no price of ", name)
}
cat("starting\n")
price("plum")
X
FORMS=plain shoot error failed 1 - 'Rscript a.R'
put b.R <<<$'x <- 3\ny <- ) 4'
FORMS=plain shoot syntax failed 1 - 'Rscript b.R' X:b.R:2:6: X:b.R:2::

tool testthat Rscript -e 'cat(as.character(packageVersion("testthat")))'
put test-a.R <<'X'
test_that("adds", {
  expect_equal(1 + 2, 3)
})
test_that("is wrong", {
  expect_equal(1 + 2, 4)
})
test_that("later", {
  skip("later")
})
X
FORMS=plain shoot failing failed 1 1/1/0/1 'Rscript -e "testthat::test_file(\"test-a.R\", stop_on_failure = TRUE)"' E:test-a.R:5:3: X:test-a.R:5:: X:test-a.R:8::

tool swipl swipl --version
put a.pl <<'X'
price(apple, 3).
main :- price(plum, X), print(X)
main.
X
FORMS=plain shoot syntax failed 2 - 'swipl -g main -t halt a.pl </dev/null' E:a.pl:2:33:

tool guile guile --version
put a.scm <<'X'
(define (price n) (+ n totl))
(price 3)
X
FORMS=plain shoot error failed 1 - 'GUILE_AUTO_COMPILE=0 guile a.scm' X:a.scm:::

tool sbcl sbcl --version
put a.lisp <<'X'
(defun price (name) (+ name 1))
(price "apple")
X
FORMS=plain shoot error failed 1 - 'sbcl --script a.lisp' X:a.lisp:::

tool racket racket --version
put a.rkt <<'X'
#lang racket
(define (price n) (+ n 1))
(price "apple")
X
FORMS=plain shoot error failed 1 - 'racket a.rkt' X:a.rkt:2:: X:a.rkt:3::
put t.rkt <<'X'
#lang racket
(require rackunit)
(check-equal? (+ 1 2) 3)
(check-equal? (+ 1 2) 4 "is wrong")
X
FORMS=plain ACCEPT='failed' shoot rackunit failed 1 - 'raco test t.rkt' E:t.rkt:4:0:

tool crystal crystal --version
put a.cr <<'X'
def price(name : String) : Int32
  name
end
price("a")
X
COLOUR='crystal build --no-codegen a.cr' shoot errors failed 1 - 'crystal build --no-color --no-codegen a.cr' E:a.cr:1:28:
put spec/a_spec.cr <<'X'
require "spec"
describe "sum" do
  it "adds" { (1 + 2).should eq(3) }
  it "is wrong" do
    (1 + 2).should eq(4)
  end
  pending "later" { }
end
X
FORMS=plain shoot spec failed 1 1/1/0/1 'crystal spec --no-color' E:spec/a_spec.cr:5::

tool zig python3 -m ziglang version
put a.zig <<'X'
const std = @import("std");
pub fn main() void {
    const x: u32 = "three";
    _ = totl;
}
test "adds" {
    try std.testing.expectEqual(1 + 2, 3);
}
X
COLOUR='python3 -m ziglang build-exe --color on -fno-emit-bin a.zig' shoot errors failed 1 - 'python3 -m ziglang build-exe --color off -fno-emit-bin a.zig' E:a.zig:4:9: X:a.zig:3::
put t.zig <<'X'
const std = @import("std");
test "adds" {
    try std.testing.expectEqual(@as(u32, 3), 1 + 2);
}
test "is wrong" {
    try std.testing.expectEqual(@as(u32, 4), 1 + 2);
}
test "later" {
    return error.SkipZigTest;
}
X
FORMS=plain shoot test failed 1 1/1/0/1 'python3 -m ziglang test t.zig' E:t.zig:6:: X:t.zig:::

tool gnat gnatmake --version
put a.adb <<'X'
procedure A is
   X : Integer := "three";
begin
   Y := 4;
end A;
X
FORMS=plain shoot errors failed 4 - 'gnatmake a.adb' E:a.adb:2:19: X:a.adb:2:19: E:a.adb:4:4:

tool mcs mcs --version
put a.cs <<'X'
using System;
class A {
  static int Price(string name) { return name; }
  static void Main() { int unused = 3; Console.WriteLine(totl); }
}
X
FORMS=plain shoot errors failed 1 - 'mcs a.cs' E:a.cs:3:42:CS0029 E:a.cs:4:58:CS0103
put b.cs <<'X'
using System;
class B {
  static int Price(string name) { return name.Length; }
  static void Main() { Console.WriteLine("starting"); Price(null); }
}
X
FORMS=plain shoot exception failed 1 - 'mcs -debug b.cs && mono --debug b.exe' E:b.cs:4::

tool valac valac --version
put a.vala <<'X'
int main() {
  int x = "three";
  return totl;
}
X
FORMS=plain shoot errors failed 1 - 'valac -C a.vala' E:a.vala:2:: E:a.vala:3::

tool gdc gdc --version
put a.d <<'X'
int main() {
  int x = "three";
  return totl;
}
X
COLOUR='gdc -fdiagnostics-color=always -c a.d' shoot errors failed 1 - 'gdc -c a.d' E:a.d:2:: E:a.d:3::

tool bazel dpkg-query -W -f '${Version}\n' bazel-bootstrap
put WORKSPACE </dev/null
put BUILD <<'X'
sh_test(name = "good", srcs = ["good.sh"])
sh_test(name = "bad", srcs = ["bad.sh"])
genrule(name = "gen", outs = ["o"], cmd = "false")
X
put good.sh <<<$'#!/bin/sh\ntrue'; put bad.sh <<<$'#!/bin/sh\necho wrong; false'; chmod +x ./*.sh
FORMS=plain shoot build-fails failed 1 - 'bazel --batch build --spawn_strategy=local --color=no //:gen' E:BUILD:3:8:
sed -i '/genrule/d' BUILD
FORMS=plain shoot fetch-fails failed 1 - 'bazel --batch test --spawn_strategy=local --test_output=errors //...' X:tools/build_defs/repo/http.bzl:::

tool scons scons --version
put SConstruct <<<"Program('a.c')"
put a.c <<<'int main(void) { return totl; }'
FORMS=plain shoot errors failed 2 - 'scons -Q' E:a.c:1:25:

tool clojure dpkg-query -W -f '${Version}\n' clojure
put a.clj <<'X'
(defn price [n] (+ n 1))
(price "apple")
X
FORMS=plain shoot exception failed 1 - 'clojure a.clj' E:a.clj:1:: X:a.clj:2::
