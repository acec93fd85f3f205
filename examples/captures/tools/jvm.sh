# javac, java, maven, gradle, ant, kotlinc, scalac, groovy, clojure, junit console
java_bad() {
  put "$1" <<'X'
package shop;

import java.util.List;

public class Shop {
    int price(String name) {
        return name;
    }

    void total() {
        int x = "three";
        undefined(x);
        List raw = new java.util.ArrayList();
        raw.add(3);
    }
}
X
}
tool javac javac -version
java_bad src/shop/Shop.java
FORMS=plain shoot errors failed 1 - 'javac -d out src/shop/Shop.java' E:src/shop/Shop.java:7:: E:src/shop/Shop.java:11:: E:src/shop/Shop.java:12::
sed -i '/return name/s/name/3/; /three/s/"three"/3/; /undefined/d' src/shop/Shop.java
FORMS=plain ACCEPT=unknown shoot warnings complete 0 - 'javac -Xlint:all -d out src/shop/Shop.java' W:src/shop/Shop.java:12:: W:src/shop/Shop.java:12:: W:src/shop/Shop.java:13:: X:src/shop/Shop.java:12::
put Syntax.java <<'X'
class Syntax {
    void f() {
        int x = 3
    }
}
X
FORMS=plain shoot syntax failed 1 - 'javac Syntax.java' E:Syntax.java:3::

tool java java --version
put Main.java <<'X'
import java.util.Map;

public class Main {
    static int price(String name) {
        return Map.of("apple", 3).get(name);
    }

    public static void main(String[] args) {
        System.out.println("starting");
        try {
            price("plum");
        } catch (RuntimeException e) {
            throw new IllegalStateException("bad order", e);
        }
    }
}
X
javac Main.java
FORMS=plain shoot exception failed 1 - 'java Main' E:Main.java:13:: X:Main.java:5:: X:Main.java:11::

pom() {
  put pom.xml <<'X'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>example</groupId>
  <artifactId>shop</artifactId>
  <version>1.0</version>
  <properties>
    <maven.compiler.source>11</maven.compiler.source>
    <maven.compiler.target>11</maven.compiler.target>
    <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding>
  </properties>
  <dependencies>
    <dependency><groupId>junit</groupId><artifactId>junit</artifactId><version>4.x</version><scope>test</scope></dependency>
  </dependencies>
</project>
X
}
tool maven mvn --version
pom
put src/main/java/shop/Shop.java <<'X'
package shop;

public class Shop {
    public static int price(String name) {
        return name.length();
    }
}
X
put src/test/java/shop/ShopTest.java <<'X'
package shop;

import static org.junit.Assert.*;
import org.junit.*;

public class ShopTest {
    @Test public void price() {
        assertEquals(5, Shop.price("apple"));
    }

    @Ignore @Test public void later() {}
}
X
M='mvn -o -s /etc/maven/settings-debian.xml'
COLOUR="$M -B -Dstyle.color=always test" shoot passing complete 0 1/0/0/1 "$M -B test"
put src/test/java/shop/ShopTest.java <<'X'
package shop;

import static org.junit.Assert.*;
import org.junit.*;

public class ShopTest {
    @Test public void price() {
        assertEquals(5, Shop.price("apple"));
    }

    @Ignore @Test public void later() {}

    @Test public void wrong() {
        assertEquals(4, Shop.price("apple"));
    }

    @Test public void boom() {
        Shop.price(null);
    }
}
X
put src/test/java/shop/OtherTest.java <<'X'
package shop;

import org.junit.*;

public class OtherTest {
    @Test public void fine() {}
}
X
COLOUR="$M -B -Dstyle.color=always test" shoot failing failed 1 2/1/1/1 "$M -B test" 'E:src/test/java/shop/ShopTest.java:/Equals(4/::' E:src/test/java/shop/ShopTest.java:18::
java_bad src/main/java/shop/Shop.java
COLOUR="$M -B -Dstyle.color=always compile" shoot compile-error failed 1 - "$M -B compile" E:src/main/java/shop/Shop.java:7:16: E:src/main/java/shop/Shop.java:11:17: E:src/main/java/shop/Shop.java:12:9:
put pom.xml <<<'<project><modelVersion>4.0.0</modelVersion></project'
FORMS=plain shoot bad-pom failed 1 - "$M -B compile" X:pom.xml:1:: X:pom.xml:2::

tool gradle gradle --version
put build.gradle <<'X'
apply plugin: 'java'
task hello { doLast { println 'hello' } }
task broken { doLast { throw new GradleException('boom') } }
X
put src/main/java/Shop.java <<'X'
public class Shop {
    int price() {
        return "three";
    }
}
X
G='gradle --offline --no-daemon'
shoot compile-error failed 1 - "$G compileJava" E:src/main/java/Shop.java:3:: X:build.gradle:::
FORMS=plain shoot passing complete 0 - "$G hello"
FORMS=plain shoot task-fails failed 1 - "$G broken" E:build.gradle:3::
FORMS=plain shoot no-task failed 1 - "$G nothing"
put build.gradle <<'X'
apply plugin: 'java'
dependencies { testCompile files('/usr/share/java/junit4.jar', '/usr/share/java/hamcrest-core.jar') }
X
put src/main/java/Shop.java <<<'public class Shop { int price() { return 3; } }'
put src/test/java/ShopTest.java <<'X'
import static org.junit.Assert.*;
import org.junit.*;

public class ShopTest {
    @Test public void price() { assertEquals(3, new Shop().price()); }
    @Test public void wrong() {
        assertEquals(4, new Shop().price());
    }
    @Ignore @Test public void later() {}
}
X
FORMS=plain shoot test-failing failed 1 1/1/0/1 "$G test" 'E:src/test/java/ShopTest.java:/(4, /::'

tool ant ant -version
put build.xml <<'X'
<project default="compile">
  <target name="compile">
    <javac srcdir="src" destdir="." includeantruntime="false"/>
  </target>
  <target name="ok"><echo>fine</echo></target>
</project>
X
java_bad src/shop/Shop.java
FORMS=plain shoot compile-error failed 1 - 'ant' E:src/shop/Shop.java:7:: E:src/shop/Shop.java:11:: E:src/shop/Shop.java:12:: X:build.xml:3::
FORMS=plain shoot passing complete 0 - 'ant ok'

tool kotlinc kotlinc -version
put a.kt <<'X'
fun price(name: String): Int {
    return name
}

fun main() {
    val unused = 3
    println(totl)
}
X
FORMS=plain shoot errors failed 1 - 'kotlinc a.kt' E:a.kt:2:12: E:a.kt:7:13:

tool scalac scalac -version
put a.scala <<'X'
object A {
  def price(name: String): Int = name
  def main(args: Array[String]): Unit = println(totl)
}
X
FORMS=plain shoot errors failed 1 - 'scalac a.scala' E:a.scala:2:: E:a.scala:3::

tool groovy groovy --version
put a.groovy <<'X'
def price(name) {
    [apple: 3][name].plus(1)
}
println price("plum")
X
FORMS=plain shoot exception failed 1 - 'groovy a.groovy' E:a.groovy:2:: X:a.groovy:4::

tool junit-console dpkg-query -W -f '${Version}\n' junit4
put ShopTest.java <<'X'
import static org.junit.Assert.*;
import org.junit.*;

public class ShopTest {
    @Test public void good() { assertEquals(3, 1 + 2); }
    @Test public void wrong() {
        assertEquals(4, 1 + 2);
    }
}
X
javac -cp /usr/share/java/junit4.jar ShopTest.java
FORMS=plain shoot failing failed 1 1/1/0/0 'java -cp /usr/share/java/junit4.jar:/usr/share/java/hamcrest-core.jar:. org.junit.runner.JUnitCore ShopTest' 'E:ShopTest.java:/(4, /::'
