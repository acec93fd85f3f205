# shellcheck, shfmt, bash, sh, awk, jq, sed; bats, shunit2; git, docker, terraform, tar, curl, xmllint, tidy, yamllint
tool shellcheck shellcheck --version
put a.sh <<'X'
#!/bin/bash
for f in $(ls *.txt); do
  rm $f
done
if [ $1 = "x" ]; then
  echo `date`
X
put w.sh <<'X'
#!/bin/bash
cd $1
echo $2
X
COLOUR='shellcheck -C a.sh' shoot syntax failed 1 - 'shellcheck a.sh' E:a.sh:5::SC1046 E:a.sh:5::SC1073 E:a.sh:7::SC1047 E:a.sh:7::SC1072
COLOUR='shellcheck -C w.sh' shoot warnings failed 1 - 'shellcheck w.sh' W:w.sh:2::SC2164 X:w.sh:2:: X:w.sh:3::
FORMS=plain ACCEPT=unknown shoot gcc-format failed 1 - 'shellcheck -f gcc w.sh' W:w.sh:2:1:SC2164 X:w.sh:2:: X:w.sh:3::
put ok.sh <<<$'#!/bin/sh\necho ok'
FORMS=plain ACCEPT=unknown shoot passing complete 0 - 'shellcheck ok.sh'

tool shfmt shfmt --version
put a.sh <<<$'if true; then\necho a\nfi'
put b.sh <<<'if true; then'
FORMS=plain ACCEPT=unknown shoot differs failed 1 - 'shfmt -d a.sh' X:a.sh:::
FORMS=plain shoot syntax failed 1 - 'shfmt -l b.sh' E:b.sh:1:1:

tool bash bash --version
put a.sh <<'X'
set -eu
echo starting
frobnicate --now
X
put b.sh <<'X'
set -u
echo "$nothing"
X
put c.sh <<'X'
if true; then
  echo a
X
put d.sh <<'X'
cd /nowhere
echo "went on"
./missing.sh
cat missing.txt
X
FORMS=plain shoot not-found failed 127 - 'bash a.sh' E:a.sh:3::
FORMS=plain shoot unbound failed 1 - 'bash b.sh' E:b.sh:2::
FORMS=plain shoot syntax failed 2 - 'bash c.sh' E:c.sh:3::
FORMS=plain shoot several failed 1 - 'bash d.sh' E:d.sh:1:: E:d.sh:3::
FORMS=plain shoot trace failed 127 - 'bash -x a.sh' E:a.sh:3::
FORMS=plain shoot sh failed 127 - 'sh a.sh' E:a.sh:3::
FORMS=plain ACCEPT=unknown shoot passing complete 0 - 'bash -c "echo fine"'
put full.sh <<'X'
echo some >/dev/full
X
FORMS=plain shoot disk-full failed 1 - 'bash full.sh' E:full.sh:1::

tool bats bats --version
put a.bats <<'X'
@test "adds" {
  [ $((1 + 2)) -eq 3 ]
}
@test "is wrong" {
  run echo a
  [ "$output" = b ]
}
@test "later" {
  skip "later"
}
X
shoot failing failed 1 1/1/0/1 'bats a.bats' E:a.bats:6::
put b.bats <<<$'@test "adds" {\n  true\n}'
shoot passing complete 0 1/0/0/0 'bats b.bats'

tool shunit2 dpkg-query -W -f '${Version}\n' shunit2
put t.sh <<'X'
testAdds() { assertEquals 3 $((1 + 2)); }
testWrong() {
  assertEquals 4 $((1 + 2))
}
. shunit2
X
shoot failing failed 1 1/1/0/0 'sh t.sh' X:t.sh:3::

tool awk awk --version
put a.awk <<<'BEGIN { print 3 + }'
FORMS=plain shoot syntax failed 1 - 'awk -f a.awk' E:a.awk:1::

tool jq jq --version
FORMS=plain shoot bad-json failed 4 - 'echo "{\"a\": }" | jq .'
FORMS=plain shoot bad-program failed 3 - 'echo "{}" | jq ".a |"'

tool git git --version
git init -q -b main . && git config user.name dev && git config user.email dev@box
put a.txt <<<one; git add a.txt; git commit -qm one
git checkout -q -b other; put a.txt <<<two; git commit -qam two
git checkout -q main; put a.txt <<<three; git commit -qam three
BEFORE='git merge --abort' FORMS=plain shoot conflict failed 1 - 'git merge other' X:a.txt:::
git merge --abort
FORMS=plain shoot no-remote failed 128 - 'git push origin main'
FORMS=plain shoot bad-ref failed 1 - 'git checkout nothing'
FORMS=plain shoot not-a-repository failed 128 - 'cd /tmp && git status'
FORMS=plain shoot unreachable failed 128 - 'git clone https://example.invalid/a.git'
git checkout -q other
BEFORE='git checkout -q -B try other' FORMS=plain shoot rebase-conflict failed 1 - 'git rebase main; code=$?; git rebase --abort; exit $code' X:a.txt:::
git checkout -q -f main
put .git/hooks/pre-commit <<<$'#!/bin/sh\necho "lint failed: a.txt:1: too short"; exit 1'; chmod +x .git/hooks/pre-commit
echo four >a.txt
FORMS=plain shoot hook failed 1 - 'git commit -am four' X:a.txt:1::
FORMS=plain ACCEPT=unknown shoot passing complete 0 - 'git log --oneline'

tool docker docker --version
put Dockerfile <<'X'
FROM scratch
X
FORMS=plain shoot no-daemon failed 1 - 'DOCKER_BUILDKIT=0 docker build .'
FORMS=plain shoot bad-flag failed 125 - 'docker run --nope x'

tool terraform terraform version
put main.tf <<'X'
variable "name" {
  type = string
}

output "greeting" {
  value = "hello ${var.nme}"
}

locals {
  a = nothing.here
}
X
COLOUR='terraform validate' shoot errors failed 1 - 'terraform validate -no-color' E:main.tf:6:: E:main.tf:10::
put main.tf <<<'output "a" { value = "fine" }'
COLOUR='terraform validate' shoot passing complete 0 - 'terraform validate -no-color'
put main.tf <<'X'
output "a" {
  value = 
X
FORMS=plain shoot syntax failed 1 - 'terraform validate -no-color' X:main.tf:2:: X:main.tf:1:: E:main.tf:2::
put main.tf <<'X'
output "a" {
value = 3
}
X
FORMS=plain ACCEPT=unknown shoot fmt failed 3 - 'terraform fmt -check -diff -no-color' X:main.tf:::

tool xmllint xmllint --version
put a.xml <<'X'
<a>
  <b>text</c>
</a>
X
FORMS=plain shoot errors failed 1 - 'xmllint --noout a.xml' E:a.xml:2:: X:a.xml:3:: X:a.xml:4::

tool tidy tidy --version
put a.html <<'X'
<!DOCTYPE html>
<html><head><title>a</title></head><body>
<p>open <b>bold</p>
<nope>
</body></html>
X
FORMS=plain shoot errors failed 2 - 'tidy -e -q a.html' X:a.html:::

tool curl curl --version
FORMS=plain shoot refused failed 7 - 'curl -sS http://127.0.0.1:9/'
FORMS=plain shoot unknown-host failed 6 - 'curl -sS http://example.invalid/'

tool tar tar --version
FORMS=plain shoot missing failed 2 - 'tar xf nothing.tar'

tool sqlite3 sqlite3 --version
FORMS=plain shoot error failed 1 - 'sqlite3 :memory: "select * frm x;"'

tool diff diff --version
put a <<<one; put b <<<two
FORMS=plain ACCEPT='unknown complete' shoot differs failed 1 - 'diff -u a b'

tool timeout timeout --version
FORMS=plain ACCEPT=unknown shoot ended failed 124 - 'timeout 0.2 sh -c "echo starting; sleep 5"'

tool pre-commit pre-commit --version
git init -q . && git config user.name dev && git config user.email dev@box
put .pre-commit-config.yaml <<'X'
repos:
  - repo: local
    hooks:
      - id: fine
        name: fine
        entry: "true"
        language: system
      - id: lint
        name: lint
        entry: ./lint.sh
        language: system
X
put lint.sh <<<$'#!/bin/sh\necho "a.py:1:1: F401 unused"; exit 1'; chmod +x lint.sh
put a.py <<<'import os'; git add -A
COLOUR='pre-commit run --color always -a' shoot failing failed 1 - 'pre-commit run --color never -a' A:a.py:1:1:F401
