# pytest, unittest, nose2, mypy, pyright, ty, pyrefly, ruff, black, isort, flake8, pylint, bandit, codespell, robot, behave, pip, tracebacks
shop() {
  put shop.py <<'X'
"""A shop."""


def price(name):
    """The price of one."""
    return {"apple": 3, "pear": 4}[name]


def total(names):
    """The price of all."""
    return sum(price(n) for n in names)
X
}
tool pytest pytest --version
shop
put test_shop.py <<'X'
import pytest
import shop


def test_price():
    assert shop.price("apple") == 3


@pytest.mark.parametrize("name", ["apple", "pear"])
def test_some(name):
    assert shop.price(name) > 0


@pytest.mark.skip(reason="later")
def test_later():
    pass
X
COLOUR='pytest --color=yes' shoot passing complete 0 3/0/0/1 'pytest'
COLOUR='pytest -q --color=yes' shoot passing-quiet complete 0 3/0/0/1 'pytest -q'
COLOUR='pytest -n 2 -v --color=yes -p no:randomly' shoot passing-xdist complete 0 3/0/0/1 'pytest -n 2 -v'
cat >>test_shop.py <<'X'


def test_total():
    assert shop.total(["apple", "pear"]) == 8


def test_missing():
    assert shop.total(["plum"]) == 1


@pytest.fixture
def broken():
    raise RuntimeError("no database")


def test_with_fixture(broken):
    assert True


@pytest.mark.xfail
def test_expected():
    assert False


def test_prints():
    print("=== 9 failed, 1 passed in 0.01s ===")
    print("a.c:3:5: error: only printed")
X
COLOUR='pytest --color=yes' shoot failing failed 1 4/2/1/2 'pytest' 'E:test_shop.py:/== 8/::' 'E:shop.py:/return {/::' 'E:test_shop.py:/no database/::'
COLOUR='pytest -v --tb=short --color=yes' shoot failing-short failed 1 4/2/1/2 'pytest -v --tb=short' 'E:test_shop.py:/== 8/::' 'E:shop.py:/return {/::' 'E:test_shop.py:/no database/::'
COLOUR='pytest -q --tb=line --color=yes' shoot failing-line failed 1 4/2/1/2 'pytest -q --tb=line' 'E:test_shop.py:/== 8/::' 'E:shop.py:/return {/::'
COLOUR='pytest -n 2 --color=yes' shoot failing-xdist failed 1 4/2/1/2 'pytest -n 2' 'E:test_shop.py:/== 8/::' 'E:shop.py:/return {/::' 'E:test_shop.py:/no database/::'
COLOUR='pytest --tb=native --color=yes' shoot failing-native failed 1 4/2/1/2 'pytest --tb=native' 'E:test_shop.py:/== 8/::' 'E:shop.py:/return {/::' 'E:test_shop.py:/no database/::'
COLOUR='pytest -rA -q --color=yes' shoot failing-report failed 1 4/2/1/2 'pytest -rA -q' 'E:test_shop.py:/== 8/::' 'E:shop.py:/return {/::' 'E:test_shop.py:/no database/::' X:a.c:3::
COLOUR='pytest -x --color=yes' shoot stopped failed 1 3/1/0/1 'pytest -x' 'E:test_shop.py:/== 8/::'
COLOUR='pytest --cov=shop --color=yes -k price' shoot coverage complete 0 1/0/0/0 'pytest --cov=shop -k price'
COLOUR='pytest --color=yes -k nothing_at_all' ACCEPT='complete unknown' shoot none-selected failed 5 - 'pytest -k nothing_at_all'
put test_shop.py <<'X'
import warnings
import shops


def test_price():
    assert True
X
put test_other.py <<'X'
def test_other():
    assert True
X
COLOUR='pytest --color=yes' shoot collection-error failed 2 0/0/1/0 'pytest' E:test_shop.py:2::
put test_shop.py <<'X'
def test_price()
    assert True
X
COLOUR='pytest --color=yes' shoot syntax-error failed 2 0/0/1/0 'pytest' E:test_shop.py:1::
put test_shop.py <<'X'
import os
seen = "/tmp/captures/pytest-seen"
def test_flaky():
    if not os.path.exists(seen):
        open(seen, "w").close()
        assert False, "not yet"
    os.remove(seen)
X
COLOUR='pytest --reruns 2 --color=yes' shoot flaky complete 0 2/0/0/0 'pytest --reruns 2'
put test_shop.py <<'X'
import os, signal, warnings
def test_one():
    warnings.warn("old api", DeprecationWarning)
def test_crash():
    os.kill(os.getpid(), signal.SIGSEGV)
X
COLOUR='pytest --color=yes' shoot crash failed 139 - 'bash -c "pytest; exit \$?"' X:test_shop.py:5::
put test_shop.py <<'X'
import warnings
def test_one():
    warnings.warn("old api", DeprecationWarning)
X
COLOUR='pytest --color=yes' shoot warnings complete 0 2/0/0/0 'pytest' X:test_shop.py:3::
put test_shop.py <<'X'
import time
def test_slow():
    time.sleep(30)
X
COLOUR='pytest --timeout 1 --color=yes' shoot timeout failed 1 1/1/0/0 'pytest --timeout 1' X:test_shop.py:3::
COLOUR='pytest --color=yes nothing.py' shoot no-file failed 4 - 'pytest nothing.py'

tool unittest python3 --version
shop
put test_shop.py <<'X'
import unittest
import shop


class Prices(unittest.TestCase):
    def test_price(self):
        self.assertEqual(shop.price("apple"), 3)

    @unittest.skip("later")
    def test_later(self):
        pass

    @unittest.expectedFailure
    def test_expected(self):
        self.fail()
X
FORMS=plain shoot passing complete 0 1/0/0/2 'python3 -m unittest'
cat >>test_shop.py <<'X'

    def test_total(self):
        self.assertEqual(shop.total(["apple"]), 4)

    def test_missing(self):
        shop.total(["plum"])

    def test_sub(self):
        for n in (3, 4):
            with self.subTest(n=n):
                self.assertEqual(n, 3)
X
FORMS=plain shoot failing failed 1 1/2/1/2 'python3 -m unittest -v' 'E:test_shop.py:/(shop.total(["apple"]), 4)/::' 'E:test_shop.py:/(n, 3)/::' 'E:shop.py:/return {/::'
put test_other.py <<'X'
import nothing
X
rm test_shop.py
FORMS=plain shoot import-error failed 1 0/0/1/0 'python3 -m unittest' E:test_other.py:1::

tool nose2 pip show nose2
shop
put test_shop.py <<'X'
import shop


def test_price():
    assert shop.price("apple") == 3


def test_bad():
    assert shop.price("pear") == 3
X
FORMS=plain shoot failing failed 1 1/1/0/0 'nose2 -v' 'E:test_shop.py:/pear/::'

tool python python3 --version
put shop/__init__.py </dev/null
put shop/load.py <<'X'
import json


def load(text):
    try:
        return json.loads(text)
    except ValueError as e:
        raise RuntimeError("bad order") from e
X
put main.py <<'X'
from shop.load import load


def main():
    print(load("{"))


main()
X
FORMS=plain shoot traceback failed 1 - 'python3 main.py' E:shop/load.py:8:: X:shop/load.py:6::
put name.py <<'X'
import sys
print("starting")
totl = 3
print(total)
X
FORMS=plain shoot name-error failed 1 - 'python3 name.py' E:name.py:4::
put bad.py <<'X'
def f(:
    pass
X
FORMS=plain shoot syntax-error failed 1 - 'python3 bad.py' E:bad.py:1::
put deep.py <<'X'
def f(n):
    return f(n + 1)
f(0)
X
FORMS=plain shoot recursion failed 1 - 'python3 deep.py' E:deep.py:2::
put group.py <<'X'
def one():
    raise ValueError("one")
def both():
    errors = []
    for f in (one, one):
        try:
            f()
        except Exception as e:
            errors.append(e)
    raise ExceptionGroup("both", errors)
both()
X
FORMS=plain shoot group failed 1 - 'python3 group.py' E:group.py:10:: X:group.py:2::
put caught.py <<'X'
import traceback
try:
    1 / 0
except ZeroDivisionError:
    traceback.print_exc()
print("went on; all done")
X
FORMS=plain ACCEPT='unknown failed' shoot caught complete 0 - 'python3 caught.py' X:caught.py:3::
put warn.py <<'X'
import warnings
warnings.warn("old api", DeprecationWarning)
print("fine")
X
FORMS=plain ACCEPT=unknown shoot warning complete 0 - 'python3 -W default warn.py' W:warn.py:2::
FORMS=plain shoot no-module failed 1 - 'python3 -m nothing_here'
FORMS=plain shoot no-file failed 2 - 'python3 nothing.py'
put kill.py <<'X'
import time, os, signal
os.kill(os.getpid(), signal.SIGINT)
time.sleep(5)
X
FORMS=plain shoot interrupted failed 130 - 'bash -c "python3 kill.py; exit \$?"' X:kill.py:2::

tool doctest python3 --version
put d.py <<'X'
def half(n):
    """
    >>> half(4)
    2
    >>> half(5)
    2.5
    """
    return n // 2
X
FORMS=plain shoot failing failed 1 - 'python3 -m doctest d.py' 'E:d.py:/half(5)/::'

types() {
  put a.py <<'X'
import os


def price(name: str) -> int:
    return name


def total(n: int) -> str:
    x: int = "three"
    return price(n) + undefined


class A:
    def f(self) -> None:
        self.g()
X
}
tool mypy mypy --version
types
COLOUR='FORCE_COLOR=1 MYPY_FORCE_COLOR=1 mypy a.py' shoot errors failed 1 - 'mypy a.py' E:a.py:5::return-value E:a.py:9::assignment E:a.py:10::name-defined E:a.py:10::arg-type E:a.py:15::attr-defined
put ok.py <<<'x: int = 3'
shoot passing complete 0 - 'mypy ok.py'
FORMS=plain shoot columns failed 1 - 'mypy --show-column-numbers --pretty a.py' E:a.py:5:12:return-value E:a.py:9:14:assignment E:a.py:10:23:name-defined E:a.py:10:18:arg-type E:a.py:15:9:attr-defined
put s.py <<<'def f(:'
FORMS=plain shoot syntax failed 2 - 'mypy s.py' E:s.py:1::syntax E:s.py:2::syntax

tool ruff ruff --version
types
COLOUR='FORCE_COLOR=1 ruff check a.py' shoot errors failed 1 - 'ruff check a.py' A:a.py:1:8:F401 A:a.py:9:5:F841 A:a.py:10:23:F821
COLOUR='FORCE_COLOR=1 ruff check --output-format concise a.py' shoot concise failed 1 - 'ruff check --output-format concise a.py' A:a.py:1:8:F401 A:a.py:9:5:F841 A:a.py:10:23:F821
put ok.py <<<'x = 3'
COLOUR='FORCE_COLOR=1 ruff check ok.py' shoot passing complete 0 - 'ruff check ok.py'
put s.py <<<'def f(:'
COLOUR='FORCE_COLOR=1 ruff check s.py' shoot syntax failed 1 - 'ruff check s.py' A:s.py:1:7: A:s.py:1:9:
put f.py <<<'x = {  "a":1 }'
COLOUR='FORCE_COLOR=1 ruff format --check f.py ok.py' shoot format failed 1 - 'ruff format --check f.py ok.py'

tool black black --version
put f.py <<<'x = {  "a":1 }'
put s.py <<<'def f(:'
put ok.py <<<'x = 3'
COLOUR='black --color --check f.py ok.py' shoot differs failed 1 - 'black --check f.py ok.py'
COLOUR='black --color --check f.py s.py' shoot syntax failed 123 - 'black --check f.py s.py' E:s.py:1:6:
shoot passing complete 0 - 'black --check ok.py'

tool isort isort --version
put f.py <<'X'
import sys
import os
X
FORMS=plain shoot differs failed 1 - 'isort --check f.py' X:f.py:::

tool flake8 flake8 --version
types
COLOUR='flake8 --color=always a.py' shoot errors failed 1 - 'flake8 a.py' A:a.py:1:1:F401 A:a.py:9:5:F841 A:a.py:10:23:F821
FORMS=plain ACCEPT=unknown shoot passing complete 0 - 'flake8 --version >/dev/null; flake8 --extend-ignore=F a.py'

tool pylint pylint --version
types
COLOUR='pylint --output-format=colorized a.py' shoot errors failed 30 - 'pylint a.py' E:a.py:10:22:E0602 E:a.py:15:8:E1101 W:a.py:9:4:W0612 W:a.py:1:0:W0611 W:a.py:1:0:C0114 W:a.py:4:0:C0116 W:a.py:8:0:C0116 W:a.py:13:0:C0115 W:a.py:14:4:C0116 W:a.py:13:0:R0903
put w.py <<'X'
"""Good, but."""
import os
X
ACCEPT='failed' FORMS=plain shoot warnings failed 4 - 'pylint w.py' W:w.py:2:0:W0611
put ok.py <<<'"""Good."""'
FORMS=plain ACCEPT=unknown shoot passing complete 0 - 'pylint ok.py'

tool pyright node -p 'require("/home/dev/node_modules/pyright/package.json").version'
types
node_modules
shoot errors failed 1 - 'pyright a.py' E:a.py:5:12:reportReturnType E:a.py:9:14:reportAssignmentType E:a.py:10:12:reportReturnType E:a.py:10:18:reportArgumentType E:a.py:10:23:reportUndefinedVariable E:a.py:15:14:reportAttributeAccessIssue
put ok.py <<<'x: int = 3'
FORMS=plain shoot passing complete 0 - 'pyright ok.py'

tool ty ty --version
types
COLOUR='ty check --color always a.py' shoot errors failed 1 - 'ty check a.py' E:a.py:5:12:invalid-explicit-return E:a.py:9:14:invalid-assignment E:a.py:10:18:invalid-argument-type E:a.py:10:23:unresolved-reference E:a.py:15:9:missing-attribute
put ok.py <<<'x: int = 3'
FORMS=plain shoot passing complete 0 - 'ty check ok.py'

tool pyrefly pyrefly --version
types
COLOUR='pyrefly check --color always a.py' shoot errors failed 1 - 'pyrefly check a.py' E:a.py:10:23:unknown-name

tool bandit bandit --version
put a.py <<'X'
import subprocess
subprocess.call("ls *", shell=True)
X
FORMS=plain shoot findings failed 1 - 'bandit -q a.py' A:a.py:1:0:B404 A:a.py:2:0:B607 A:a.py:2:0:B602

tool codespell codespell --version
put a.txt <<<'This is teh end, recieve it.'
COLOUR='codespell --enable-colors a.txt' shoot findings failed 65 - 'codespell a.txt' A:a.txt:1:: X:a.txt:1::

tool yamllint yamllint --version
put a.yml <<'X'
a: 1
b:
  - x
    - y
a: 2
X
put w.yml <<'X'
---
a: yes
# fine
b: [1,2]
X
COLOUR='yamllint -f colored a.yml w.yml' shoot errors failed 1 - 'yamllint a.yml w.yml' W:a.yml:1:1: E:a.yml:5:1: X:a.yml:4:5: W:w.yml:2:4: E:w.yml:4:7:
FORMS=plain ACCEPT=unknown shoot warnings complete 0 - 'yamllint -d "{extends: default, rules: {commas: disable}}" w.yml' W:w.yml:2:4:

tool robot robot --version
put a.robot <<'X'
*** Test Cases ***
Good
    Should Be Equal    1    1
Bad
    Should Be Equal    1    2
Skipped
    Skip    later
X
COLOUR='robot --consolecolors on a.robot' shoot failing failed 1 1/1/0/1 'robot a.robot'
put b.robot <<'X'
*** Test Cases ***
Good
    Should Be Equal    1    1
X
COLOUR='robot --consolecolors on b.robot' shoot passing complete 0 1/0/0/0 'robot b.robot'

tool behave behave --version
put features/a.feature <<'X'
Feature: shop
  Scenario: good
    Given a price of 3
    Then it is 3
  Scenario: bad
    Given a price of 4
    Then it is 3
X
put features/steps/s.py <<'X'
from behave import given, then
@given("a price of {n:d}")
def price(context, n):
    context.n = n
@then("it is {n:d}")
def same(context, n):
    assert context.n == n, f"{context.n} is not {n}"
X
shoot failing failed 1 1/1/0/0 'behave' X:features/a.feature:7:: X:features/steps/s.py:7:: X:features/a.feature:5::
printf 'Feature: shop\n  Scenario: good\n    Given a price of 3\n    Then it is 3\n' >features/a.feature
FORMS=plain shoot passing complete 0 1/0/0/0 'behave'

tool pip pip --version
FORMS=plain shoot not-found failed 1 - 'pip install --retries 0 --timeout 1 no-such-package-here-1'
FORMS=plain shoot no-file failed 1 - 'pip install -r requirements.txt'
put pyproject.toml <<<'[project'
FORMS=plain shoot bad-project failed 2 - 'pip install --no-build-isolation --no-deps .' X:tomli/_parser.py:298::
FORMS=plain ACCEPT=unknown shoot check complete 0 - 'pip check; true'

tool ansible-playbook ansible-playbook --version
put play.yml <<'X'
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - name: say
      debug:
        msg: hello
    - name: break
      command: /bin/false
    - name: never
      debug:
        msg: never
X
put good.yml <<'X'
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - name: say
      debug:
        msg: hello
    - name: may break
      command: /bin/false
      ignore_errors: true
X
put syntax.yml <<'X'
- hosts: localhost
  tasks:
    - name: a
      debug:
        msg: "x
X
COLOUR='ANSIBLE_FORCE_COLOR=1 ansible-playbook play.yml' shoot failing failed 2 - 'ansible-playbook play.yml' X:play.yml:8:: X:play.yml:9::
COLOUR='ANSIBLE_FORCE_COLOR=1 ansible-playbook good.yml' shoot ignored complete 0 - 'ansible-playbook good.yml' X:good.yml:8:: X:good.yml:9::
FORMS=plain shoot syntax failed 4 - 'ansible-playbook syntax.yml' E:syntax.yml:6:1:

tool ansible-lint ansible-lint --version
put play.yml <<'X'
- hosts: localhost
  tasks:
    - command: echo hello
    - name: install
      apt: name=git state=latest
X
COLOUR='ansible-lint --offline --force-color play.yml' shoot errors failed 2 - 'ansible-lint --offline --nocolor play.yml' A:play.yml:1:3: A:play.yml:3:7: A:play.yml:4:13: A:play.yml:5:7: X:play.yml:3:: X:play.yml:4::

tool sqlfluff sqlfluff --version
put a.sql <<'X'
SELECT a,b from t
WHERE x = 
X
COLOUR='sqlfluff lint --dialect ansi --color a.sql' shoot errors failed 1 - 'sqlfluff lint --dialect ansi --nocolor a.sql' A:a.sql:1:1:LT09 A:a.sql:1:10:LT01 A:a.sql:1:12:CP01 A:a.sql:2:9:PRS A:a.sql:2:10:LT01

tool hadolint hadolint --version
put Dockerfile <<'X'
FROM debian
RUN apt-get update && apt-get install -y git
RUN cd /tmp && echo $x
MAINTAINER me
X
COLOUR='hadolint Dockerfile' shoot findings failed 1 - 'hadolint --no-color Dockerfile' W:Dockerfile:1::DL3006 W:Dockerfile:3::DL3003 W:Dockerfile:2::DL3008 E:Dockerfile:4::DL4000 X:Dockerfile:2:: X:Dockerfile:3::

tool cfn-lint cfn-lint --version
put a.yaml <<'X'
AWSTemplateFormatVersion: "2010-09-09"
Resources:
  B:
    Type: AWS::S3::Bucket
    Properties:
      Nope: 1
X
FORMS=plain shoot errors failed 2 - 'cfn-lint a.yaml' E:a.yaml:6:7:E3002
