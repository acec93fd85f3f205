# gcc, g++, clang, make, cmake, ctest, ninja, meson, clang-tidy, cppcheck, gfortran, sanitizers, valgrind, ld, C test libraries
errors_c() {
  put src/list.h <<'X'
struct list {
    int n;
};
int length(struct list *l)
X
  put src/main.c <<'X'
#include <stdio.h>
#include "missing.h"

int main(void) {
    return 0;
}
X
  put src/a.c <<'X'
#include <stdio.h>

static int unused(void) { return 3; }

int main(void) {
    int x = "three";
    printf("%d\n", totl);
    return x
}
X
  put src/warn.c <<'X'
#include <stdio.h>

static int unused(void) { return 3; }

int main(void) {
    int y;
    printf("%s\n", 3);
    return y;
}
X
  put src/undef.c <<'X'
int missing(int);
int main(void) {
    return missing(3);
}
X
  put src/ok.c <<'X'
int main(void) { return 0; }
X
  put src/t.cpp <<'X'
#include <string>
#include <vector>

template <typename T> T twice(T v) { return v * 2; }

int main() {
    std::vector<std::string> names;
    names.push_back(3);
    auto s = twice(std::string("a"));
    return s.size() + nmes.size();
}
X
}
tool gcc gcc --version
errors_c
COLOUR='gcc -Wall -fdiagnostics-color=always -c src/a.c' shoot errors failed 1 - 'gcc -Wall -c src/a.c' 'W:src/a.c:/int x =/:13:' 'E:src/a.c:/totl/:20:' 'E:src/a.c:/return x/:13:' W:src/a.c:3:12:
COLOUR='gcc -fdiagnostics-color=always -c src/main.c' shoot fatal failed 1 - 'gcc -c src/main.c' E:src/main.c:2:10:
COLOUR='gcc -Wall -fdiagnostics-color=always -c src/warn.c' ACCEPT=unknown shoot warnings complete 0 - 'gcc -Wall -c src/warn.c' 'W:src/warn.c:7:14:-Wformat=' W:src/warn.c:8:12: W:src/warn.c:3:12:
COLOUR='gcc -fdiagnostics-color=always src/undef.c' shoot link failed 1 - 'gcc src/undef.c'
put src/inc.c <<'X'
#include "bad.h"
int main(void) { return 0; }
X
put src/bad.h <<'X'
int f(void) {
    return nothing;
}
X
COLOUR='gcc -fdiagnostics-color=always -c src/inc.c' shoot header failed 1 - 'gcc -c src/inc.c' E:src/bad.h:2:12:
COLOUR='gcc -Wall -Werror -fdiagnostics-color=always -c src/warn.c' shoot werror failed 1 - 'gcc -Wall -Werror -c src/warn.c' E:src/warn.c:7:14: E:src/warn.c:8:12: E:src/warn.c:3:12:

tool g++ g++ --version
errors_c
COLOUR='g++ -fdiagnostics-color=always -c src/t.cpp' shoot errors failed 1 - 'g++ -c src/t.cpp' E:src/t.cpp:8:20: 'E:src/t.cpp:/v * 2/:47:' 'E:src/t.cpp:/nmes/:23:'

tool clang clang --version
errors_c
COLOUR='clang -Wall -fcolor-diagnostics -c src/a.c' shoot errors failed 1 - 'clang -Wall -c src/a.c' 'W:src/a.c:/int x =/:9:-Wint-conversion' 'E:src/a.c:/totl/:20:' 'E:src/a.c:/return x/:13:'
COLOUR='clang -fcolor-diagnostics -c src/main.c' shoot fatal failed 1 - 'clang -c src/main.c' E:src/main.c:2:10:
COLOUR='clang -Wall -fcolor-diagnostics -c src/warn.c' ACCEPT=unknown shoot warnings complete 0 - 'clang -Wall -c src/warn.c' 'W:src/warn.c:7:20:-Wformat' 'W:src/warn.c:8:12:-Wuninitialized' 'W:src/warn.c:3:12:-Wunused-function'
FORMS=plain shoot link failed 1 - 'clang src/undef.c'
COLOUR='clang++ -fcolor-diagnostics -c src/t.cpp' shoot cpp failed 1 - 'clang++ -c src/t.cpp' E:src/t.cpp:8:11: 'E:src/t.cpp:/v * 2/:47:' 'E:src/t.cpp:/nmes/:23:'

tool make make --version
errors_c
put Makefile <<'X'
all: a.o
a.o: src/a.c
	gcc -Wall -c src/a.c
ok: src/ok.c
	gcc -o ok src/ok.c
	./ok && echo fine
crash:
	@echo starting
	@sh -c 'kill -SEGV $$$$'
sub:
	$(MAKE) -C inner
syntax:
	@echo one
needs: nowhere.c
X
put inner/Makefile <<'X'
all:
	@echo building; false
X
put bad.mk <<'X'
all:
    echo spaces
X
COLOUR='make CFLAGS= a.o GCC_COLORS= -s 2>&1; make a.o --eval="a.o: ; gcc -fdiagnostics-color=always -Wall -c src/a.c"' FORMS=plain shoot errors failed 2 - 'make' 'W:src/a.c:/int x =/:13:' 'E:src/a.c:/totl/:20:' 'E:src/a.c:/return x/:13:' W:src/a.c:3:12: X:Makefile:3::
FORMS=plain ACCEPT=unknown shoot passing complete 0 - 'make ok'
FORMS=plain shoot crash failed 2 - 'make crash' X:Makefile:9::
FORMS=plain shoot keep-going failed 2 - 'make -k a.o sub ok' 'W:src/a.c:/int x =/:13:' 'E:src/a.c:/totl/:20:' 'E:src/a.c:/return x/:13:' W:src/a.c:3:12: X:Makefile:::
FORMS=plain shoot recursive failed 2 - 'make sub' X:Makefile:2:: X:Makefile:11::
FORMS=plain shoot no-rule failed 2 - 'make needs'
FORMS=plain shoot bad-makefile failed 2 - 'make -f bad.mk' E:bad.mk:2::
FORMS=plain shoot no-target failed 2 - 'make nothing'

cmake_project() {
  put CMakeLists.txt <<'X'
cmake_minimum_required(VERSION 3.10)
project(shop C)
enable_testing()
add_executable(good good.c)
add_executable(bad bad.c)
add_executable(slow slow.c)
add_test(NAME good COMMAND good)
add_test(NAME good2 COMMAND good)
X
  put good.c <<<'int main(void) { return 0; }'
  put bad.c <<<'int main(void) { return 3; }'
  put slow.c <<'X'
#include <stdlib.h>
int main(void) { abort(); }
X
}
tool cmake cmake --version
cmake_project
BEFORE='rm -rf b' shoot passing complete 0 - 'cmake -S . -B b && cmake --build b'
echo 'find_package(Nothing REQUIRED)' >>CMakeLists.txt
BEFORE='rm -rf b' FORMS=plain shoot configure-error failed 1 - 'cmake -S . -B b' E:CMakeLists.txt:9::
sed -i '$d' CMakeLists.txt; printf 'message(WARNING "old stuff")\nmessage(DEPRECATION "gone soon")\n' >>CMakeLists.txt
BEFORE='rm -rf b' FORMS=plain shoot warnings complete 0 - 'cmake -S . -B b' W:CMakeLists.txt:9::
printf 'int main(void) {\n    return undeclared;\n}\n' >bad.c
BEFORE='rm -rf b' shoot build-error failed 2 - 'cmake -S . -B b && cmake --build b' E:bad.c:2:12: W:CMakeLists.txt:9::

tool ctest ctest --version
cmake_project
cmake -S . -B b >/dev/null && cmake --build b >/dev/null 2>&1
FORMS=plain shoot passing complete 0 2/0/0/0 'ctest --test-dir b'
printf 'add_test(NAME bad COMMAND bad)\nadd_test(NAME slow COMMAND slow)\nadd_test(NAME off COMMAND bad)\nset_tests_properties(off PROPERTIES DISABLED TRUE)\nadd_test(NAME lost COMMAND nowhere)\n' >>CMakeLists.txt
cmake -S . -B b >/dev/null && cmake --build b >/dev/null 2>&1
shoot failing failed 8 2/3/0/1 'ctest --test-dir b --output-on-failure'
rm -rf b && cmake -S . -B b >/dev/null
FORMS=plain shoot not-built failed 8 0/5/0/1 'ctest --test-dir b'

tool ninja ninja --version
errors_c
put build.ninja <<'X'
rule cc
  command = gcc -Wall -fdiagnostics-color=always -c $in -o $out
build ok.o: cc src/ok.c
build a.o: cc src/a.c
build warn.o: cc src/warn.c
X
BEFORE='rm -f *.o' ACCEPT=unknown shoot passing complete 0 - 'ninja ok.o'
BEFORE='rm -f *.o' shoot errors failed 1 - 'ninja' 'W:src/a.c:/int x =/:13:' 'E:src/a.c:/totl/:20:' 'E:src/a.c:/return x/:13:' W:src/a.c:3:12: 'W:src/warn.c:7:14:' W:src/warn.c:8:12: W:src/warn.c:3:12:
put build.ninja <<'X'
rule cc
  command = gcc
build ok.o: c src/ok.c
X
FORMS=plain shoot bad-file failed 1 - 'ninja' E:build.ninja:3::

tool meson meson --version
put meson.build <<'X'
project('shop', 'c')
good = executable('good', 'good.c')
bad = executable('bad', 'bad.c')
test('good', good)
test('good2', good)
X
put good.c <<<'int main(void) { return 0; }'
put bad.c <<<'int main(void) { return 3; }'
meson setup b >/dev/null 2>&1
shoot passing complete 0 2/0/0/0 'meson test -C b'
printf "test('bad', bad)\ntest('skip', find_program('sh'), args: ['-c', 'exit 77'])\n" >>meson.build
shoot failing failed 1 2/1/0/1 'meson test -C b'
printf "x = nothing\n" >>meson.build
BEFORE='rm -rf c' shoot configure-error failed 1 - 'meson setup c' E:meson.build:8:0:

tool clang-tidy clang-tidy --version
put a.c <<'X'
#include <stdlib.h>
int *make(int n) {
    int *p = malloc(n);
    if (n = 3)
        return NULL;
    return p;
}
X
COLOUR='clang-tidy --use-color a.c --' ACCEPT='unknown' shoot warnings complete 0 - 'clang-tidy a.c --' 'W:a.c:4:9:' 'W:a.c:/n = 3/:11:' 'W:a.c:/return NULL/:16:'
COLOUR='clang-tidy --use-color --warnings-as-errors=* a.c --' shoot errors failed 1 - 'clang-tidy --warnings-as-errors=* a.c --' 'E:a.c:4:9:' 'E:a.c:/n = 3/:11:' 'E:a.c:/return NULL/:16:'

tool cppcheck cppcheck --version
put a.c <<'X'
#include <stdlib.h>
int f(void) {
    int a[3];
    a[5] = 1;
    char *p = malloc(3);
    return a[0];
}
X
FORMS=plain shoot errors failed 1 - 'cppcheck --error-exitcode=1 --enable=style a.c' 'E:a.c:/a[5]/:6:arrayIndexOutOfBounds' 'E:a.c:/return a/:5:memleak' W:a.c:5:13:unreadVariable W:a.c:5:15:unusedAllocatedMemory

tool sanitizer gcc --version
put a.c <<'X'
#include <stdlib.h>
#include <string.h>
int main(int argc, char **argv) {
    char *p = malloc(8);
    memset(p, 0, 8);
    free(p);
    return p[argc];
}
X
put u.c <<'X'
#include <limits.h>
int main(int argc, char **argv) {
    int x = INT_MAX;
    x += argc;
    return x == 0;
}
X
gcc -g -fsanitize=address a.c -o a && gcc -g -fsanitize=undefined u.c -o u
FORMS=plain shoot address failed 1 - './a' E:a.c:7::
FORMS=plain ACCEPT='unknown failed' shoot undefined complete 0 - './u' E:u.c:4:7:
printf '#include <stdlib.h>\nint main(void) { int *p = 0; return *p; }\n' >s.c; gcc -g s.c -o s
FORMS=plain shoot segfault failed 139 - 'bash -c "./s; exit \$?"'
printf '#include <assert.h>\nint main(int c, char **v) {\n    assert(c == 5);\n}\n' >s.c; gcc -g s.c -o s
FORMS=plain shoot assert failed 134 - 'bash -c "./s; exit \$?"' E:s.c:3::

tool valgrind valgrind --version
put a.c <<'X'
#include <stdlib.h>
int main(void) {
    int *p = malloc(8);
    p[3] = 1;
    return 0;
}
X
gcc -g a.c -o a
FORMS=plain shoot errors failed 9 - 'valgrind --leak-check=full --error-exitcode=9 ./a' E:a.c:4:: E:a.c:3::

tool gfortran gfortran --version
put a.f90 <<'X'
program a
  implicit none
  integer :: x
  x = "three"
  y = 4
end program
X
COLOUR='gfortran -fdiagnostics-color=always a.f90' shoot errors failed 1 - 'gfortran a.f90' E:a.f90:4:6: E:a.f90:5:3:

tool gtest dpkg-query -W -f '${Version}\n' libgtest-dev
put t.cc <<'X'
#include <gtest/gtest.h>
int half(int n) { return n / 2; }
TEST(Half, Even) { EXPECT_EQ(half(4), 2); }
TEST(Half, Zero) { EXPECT_EQ(half(0), 0); }
#ifdef BAD
TEST(Half, Odd) {
  EXPECT_EQ(half(5), 3);
  EXPECT_TRUE(half(1) == 1) << "rounds down";
}
TEST(Half, Skip) { GTEST_SKIP() << "later"; }
#endif
X
g++ -o good t.cc -lgtest -lgtest_main -lpthread && g++ -DBAD -o bad t.cc -lgtest -lgtest_main -lpthread
COLOUR='./good --gtest_color=yes' shoot passing complete 0 2/0/0/0 ./good
COLOUR='./bad --gtest_color=yes' shoot failing failed 1 2/1/0/1 ./bad 'E:t.cc:/half(5)/::' 'E:t.cc:/half(1)/::'

tool catch2 dpkg-query -W -f '${Version}\n' catch2
put t.cc <<'X'
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
int half(int n) { return n / 2; }
TEST_CASE("even") { REQUIRE(half(4) == 2); }
#ifdef BAD
TEST_CASE("odd") {
  REQUIRE(half(5) == 3);
}
#endif
X
g++ -DBAD -o bad t.cc && g++ -o good t.cc
COLOUR='./good --use-colour yes' shoot passing complete 0 1/0/0/0 ./good
COLOUR='./bad --use-colour yes' shoot failing failed 1 1/1/0/0 ./bad 'E:t.cc:/half(5)/::'

tool check dpkg-query -W -f '${Version}\n' check
put t.c <<'X'
#include <check.h>
#include <stdlib.h>
START_TEST(good) { ck_assert_int_eq(2, 2); } END_TEST
START_TEST(bad) {
    ck_assert_int_eq(2, 3);
} END_TEST
START_TEST(crash) { abort(); } END_TEST
int main(void) {
    Suite *s = suite_create("Numbers");
    TCase *t = tcase_create("core");
    tcase_add_test(t, good);
#ifdef BAD
    tcase_add_test(t, bad);
    tcase_add_test(t, crash);
#endif
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    return srunner_ntests_failed(r) != 0;
}
X
gcc -o good t.c -lcheck -lsubunit -lm -lrt -lpthread && gcc -DBAD -o bad t.c -lcheck -lsubunit -lm -lrt -lpthread
FORMS=plain shoot passing complete 0 1/0/0/0 ./good
FORMS=plain shoot failing failed 1 1/1/1/0 ./bad 'E:t.c:/(2, 3)/::' 'X:t.c:/abort/::'

tool cmocka dpkg-query -W -f '${Version}\n' libcmocka-dev
put t.c <<'X'
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
static void good(void **s) { assert_int_equal(2, 2); }
static void bad(void **s) {
    assert_int_equal(2, 3);
}
static void skipped(void **s) { skip(); }
int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good),
#ifdef BAD
        cmocka_unit_test(bad), cmocka_unit_test(skipped),
#endif
    };
    return cmocka_run_group_tests(tests, 0, 0);
}
X
gcc -o good t.c -lcmocka && gcc -DBAD -o bad t.c -lcmocka
FORMS=plain shoot passing complete 0 1/0/0/0 ./good
FORMS=plain shoot failing failed 1 1/1/0/1 ./bad 'E:t.c:/(2, 3)/::'
