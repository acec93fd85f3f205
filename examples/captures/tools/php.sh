# php, phpunit, composer; perl, prove
tool php php --version
put a.php <<'X'
<?php
function price(string $name): int {
    return $undefined;
}
echo "starting\n";
price("a");
X
FORMS=plain shoot fatal failed 255 - 'php a.php' E:a.php:3:: W:a.php:3::
put b.php <<'X'
<?php
function f( {
}
X
FORMS=plain shoot syntax failed 255 - 'php -l b.php' E:b.php:2::
put c.php <<'X'
<?php
echo $nothing;
echo "done\n";
X
FORMS=plain ACCEPT=unknown shoot warning complete 0 - 'php c.php' W:c.php:2::

tool phpunit phpunit --version
put ShopTest.php <<'X'
<?php
use PHPUnit\Framework\TestCase;

class ShopTest extends TestCase
{
    public function testAdds(): void
    {
        $this->assertSame(3, 1 + 2);
    }
}
X
COLOUR='phpunit --colors=always ShopTest.php' shoot passing complete 0 1/0/0/0 'phpunit ShopTest.php'
put ShopTest.php <<'X'
<?php
use PHPUnit\Framework\TestCase;

class ShopTest extends TestCase
{
    public function testAdds(): void
    {
        $this->assertSame(3, 1 + 2);
    }

    public function testWrong(): void
    {
        $this->assertSame(4, 1 + 2);
    }

    public function testThrows(): void
    {
        throw new RuntimeException("boom");
    }

    public function testLater(): void
    {
        $this->markTestSkipped("later");
    }

    public function testRisky(): void
    {
    }
}
X
COLOUR='phpunit --colors=always ShopTest.php' shoot failing failed 2 2/1/1/1 'phpunit ShopTest.php' 'E:ShopTest.php:/assertSame(4/::' 'E:ShopTest.php:/boom/::' X:ShopTest.php:::
COLOUR='phpunit --colors=always --testdox ShopTest.php' shoot testdox failed 2 2/1/1/1 'phpunit --testdox ShopTest.php' 'E:ShopTest.php:/assertSame(4/::' 'E:ShopTest.php:/boom/::' X:ShopTest.php:::
FORMS=plain shoot no-file failed 1 - 'phpunit Nothing.php'

tool composer composer --version
put composer.json <<<'{ "name": "a/b", }'
COLOUR='composer --ansi install' shoot bad-json failed 1 - 'composer install' X:composer.json:1:: X:composer.json:::
put composer.json <<<'{ "name": "a/b", "require": { "php": ">=99" } }'
COLOUR='composer --ansi install' shoot unsolvable failed 2 - 'composer install'

tool perl perl --version
put a.pl <<'X'
use strict;
use warnings;
print "starting\n";
my %h = (apple => 3);
sub price { my $n = shift; die "no price of $n" unless $h{$n}; return $h{$n} }
price("plum");
X
FORMS=plain shoot die failed 255 - 'perl a.pl' E:a.pl:5::
put b.pl <<'X'
use strict;
my $x = 3
print $y;
X
FORMS=plain shoot syntax failed 255 - 'perl b.pl' E:b.pl:3:: X:b.pl:2::
put c.pl <<'X'
use strict; use warnings;
my $x;
print "a" . $x . "\n";
X
FORMS=plain ACCEPT=unknown shoot warning complete 0 - 'perl c.pl' W:c.pl:3::
put d.pl <<<'use Nothing::Here;'
FORMS=plain shoot no-module failed 2 - 'perl d.pl' E:d.pl:1::

tool prove prove --version
put t/good.t <<'X'
use Test::More tests => 2;
ok(1, "one");
is(1 + 2, 3, "adds");
X
shoot passing complete 0 2/0/0/0 'prove --color'
put t/bad.t <<'X'
use Test::More tests => 4;
ok(1, "one");
is(1 + 2, 4, "is wrong");
SKIP: { skip "later", 1; ok(1) }
TODO: { local $TODO = "known"; ok(0, "todo") }
X
put t/dies.t <<'X'
use Test::More tests => 2;
ok(1, "one");
die "boom";
X
shoot failing failed 1 - 'prove --color' E:t/bad.t:3:: E:t/dies.t:3:: X:t/bad.t:5::
COLOUR='prove --color -v' FORMS=plain shoot verbose failed 1 - 'prove -v' E:t/bad.t:3:: E:t/dies.t:3:: X:t/bad.t:5::
FORMS=plain shoot tap failed 1 1/1/0/2 'perl t/bad.t' E:t/bad.t:3:: X:t/bad.t:5::
