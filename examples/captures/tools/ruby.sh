# ruby, rspec, minitest, test-unit, rubocop
tool ruby ruby --version
put a.rb <<'X'
require_relative "b"
puts "starting"
run("plum")
X
put b.rb <<'X'
def run(name)
  { "apple" => 3 }.fetch(name)
end
X
FORMS=plain shoot raise failed 1 - 'ruby a.rb' E:b.rb:2::
put c.rb <<'X'
def f(
  puts "x"
end
X
FORMS=plain shoot syntax failed 1 - 'ruby c.rb' E:c.rb:2:: E:c.rb:3::
put d.rb <<<'require "nothing_here"'
FORMS=plain shoot load-error failed 1 - 'ruby d.rb' E:d.rb:1::
put w.rb <<'X'
def f
  unused = 3
  nil
end
f
X
FORMS=plain ACCEPT=unknown shoot warnings complete 0 - 'ruby -w w.rb' W:w.rb:2::

tool rspec rspec --version
put spec/shop_spec.rb <<'X'
RSpec.describe "shop" do
  it "adds" do
    expect(1 + 2).to eq(3)
  end

  xit "later" do
  end
end
X
COLOUR='rspec --force-color' shoot passing complete 0 1/0/0/1 rspec
put lib/shop.rb <<'X'
def boom
  raise ArgumentError, "boom"
end
X
put spec/shop_spec.rb <<'X'
require_relative "../lib/shop"
RSpec.describe "shop" do
  it "adds" do
    expect(1 + 2).to eq(3)
  end

  it "is wrong" do
    expect(1 + 2).to eq(4)
  end

  it "throws" do
    boom
  end

  pending "known" do
    expect(1).to eq(2)
  end

  xit "later" do
  end
end
X
COLOUR='rspec --force-color' shoot failing failed 1 1/2/0/2 rspec 'E:spec/shop_spec.rb:/eq(4)/::' 'E:lib/shop.rb:/boom"/::' X:spec/shop_spec.rb:::
COLOUR='rspec --force-color -f doc' shoot failing-doc failed 1 1/2/0/2 'rspec -f doc' 'E:spec/shop_spec.rb:/eq(4)/::' 'E:lib/shop.rb:/boom"/::' X:spec/shop_spec.rb:::
put spec/shop_spec.rb <<<'require "nothing_here"'
COLOUR='rspec --force-color' shoot load-error failed 1 0/0/1/0 rspec E:spec/shop_spec.rb:1::

tool minitest ruby -e 'require "minitest"; puts Minitest::VERSION'
put test.rb <<'X'
require "minitest/autorun"

class ShopTest < Minitest::Test
  def test_adds
    assert_equal 3, 1 + 2
  end

  def test_later
    skip "later"
  end
end
X
FORMS=plain shoot passing complete 0 1/0/0/1 'ruby test.rb'
put test.rb <<'X'
require "minitest/autorun"

class ShopTest < Minitest::Test
  def test_adds
    assert_equal 3, 1 + 2
  end

  def test_later
    skip "later"
  end

  def test_wrong
    assert_equal 4, 1 + 2
  end

  def test_throws
    raise ArgumentError, "boom"
  end
end
X
FORMS=plain shoot failing failed 1 1/1/1/1 'ruby test.rb' 'E:test.rb:/equal 4/::' 'E:test.rb:/boom/::'
FORMS=plain shoot failing-verbose failed 1 1/1/1/1 'ruby test.rb -v' 'E:test.rb:/equal 4/::' 'E:test.rb:/boom/::'

tool test-unit ruby -e 'require "test/unit/version"; puts Test::Unit::VERSION'
put test.rb <<'X'
require "test/unit"

class ShopTest < Test::Unit::TestCase
  def test_adds
    assert_equal 3, 1 + 2
  end

  def test_wrong
    assert_equal 4, 1 + 2
  end

  def test_throws
    raise ArgumentError, "boom"
  end
end
X
COLOUR='ruby test.rb --use-color=yes' shoot failing failed 1 1/1/1/0 'ruby test.rb --use-color=no' 'E:test.rb:/equal 4/::' 'E:test.rb:/boom/::'

tool rubocop rubocop --version
put a.rb <<'X'
def f(a)
  x = 3
  puts 'a'  if a == nil
end
X
put .rubocop.yml <<'X'
AllCops:
  NewCops: disable
Style/FrozenStringLiteralComment:
  Enabled: false
X
COLOUR='rubocop --color a.rb' shoot offenses failed 1 - 'rubocop a.rb' W:a.rb:2:3:Lint/UselessAssignment A:a.rb:1:7:Naming/MethodParameterName A:a.rb:3:11:Layout/ExtraSpacing A:a.rb:3:18:Style/NilComparison
FORMS=plain ACCEPT=unknown shoot emacs failed 1 - 'rubocop -f emacs a.rb' W:a.rb:2:3:Lint/UselessAssignment A:a.rb:1:7:Naming/MethodParameterName A:a.rb:3:11:Layout/ExtraSpacing A:a.rb:3:18:Style/NilComparison
put b.rb <<<'def f('
COLOUR='rubocop --color b.rb' shoot syntax failed 1 - 'rubocop b.rb' E:b.rb:2:1:Lint/Syntax
put c.rb <<<'puts 3'
COLOUR='rubocop --color c.rb' shoot passing complete 0 - 'rubocop c.rb'

tool rake rake --version
put Rakefile <<'X'
task :default do
  puts "building"
  sh "false"
end
X
FORMS=plain shoot failing failed 1 - 'rake' E:Rakefile:3::
