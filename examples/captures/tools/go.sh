# go build, vet, test, run; gofmt
mod() {
  put go.mod <<'X'
module example.com/shop

go 1.19
X
}
bad_go() {
  put main.go <<'X'
package main

import (
	"fmt"
	"os"
)

func price(name string) int {
	return name
}

func main() {
	var total int = "three"
	fmt.Println(totl)
}
X
}
tool go-build go version
mod; bad_go
FORMS=plain shoot errors failed 1 - 'go build ./...' E:main.go:5:2: E:main.go:9:9: E:main.go:13:18: E:main.go:14:14: X:main.go:13:6:
put main.go <<'X'
package main

func main() {
	x := 3
	if x > 2 {
}
X
FORMS=plain shoot syntax failed 1 - 'go build' E:main.go:7:1:
put main.go <<'X'
package main

import "example.com/nothing"

func main() { nothing.Do() }
X
FORMS=plain shoot no-module failed 1 - 'GOFLAGS=-mod=mod GOPROXY=off go build' E:main.go:3:8:
put main.go <<<$'package main\n\nfunc main() {}'
FORMS=plain ACCEPT=unknown shoot passing complete 0 - 'go build -v'

tool go-vet go version
mod; put main.go <<'X'
package main

import "fmt"

func main() {
	fmt.Printf("%d\n", "three")
	x := 3
	x = x
}
X
FORMS=plain shoot findings failed 1 - 'go vet ./...' A:main.go:6:14: A:main.go:8:2:

tool go-test go version
mod; put shop.go <<'X'
package shop

func Price(name string) int {
	prices := []int{3, 4}
	if name == "apple" {
		return prices[0]
	}
	return prices[len(name)]
}
X
put shop_test.go <<'X'
package shop

import "testing"

func TestApple(t *testing.T) {
	if Price("apple") != 3 {
		t.Fatal("apple")
	}
}

func TestLater(t *testing.T) {
	t.Skip("later")
}
X
put inner/inner.go <<<$'package inner\n'
FORMS=plain shoot passing complete 0 1/0/0/1 'go test -v ./...'
FORMS=plain shoot passing-quiet complete 0 - 'go test ./...'
cat >>shop_test.go <<'X'

func TestWrong(t *testing.T) {
	if got := Price("a"); got != 3 {
		t.Errorf("got %d", got)
	}
}

func TestTable(t *testing.T) {
	for _, name := range []string{"apple", "b"} {
		t.Run(name, func(t *testing.T) {
			if Price(name) != 3 {
				t.Fatalf("price of %s", name)
			}
		})
	}
}
X
FORMS=plain shoot failing failed 1 1/2/0/1 'go test -v ./...' 'E:shop_test.go:/got %d/::' 'E:shop_test.go:/price of %s/::'
FORMS=plain shoot failing-quiet failed 1 - 'go test ./...' 'E:shop_test.go:/got %d/::' 'E:shop_test.go:/price of %s/::'
cat >>shop_test.go <<'X'

func TestPanic(t *testing.T) {
	Price("long name")
}
X
FORMS=plain shoot panic failed 1 1/3/0/1 'go test -v -run "Apple|Later|Wrong|Table|Panic" .' 'E:shop_test.go:/got %d/::' 'E:shop_test.go:/price of %s/::' 'E:shop.go:/len(name)/::'
put bad_test.go <<'X'
package shop

import "testing"

func TestBad(t *testing.T) {
	t.Fatal(nothing)
}
X
FORMS=plain shoot build-failed failed 1 - 'go test ./...' E:bad_test.go:6:10:
put bad_test.go <<'X'
package shop

import (
	"testing"
	"time"
)

func TestSlow(t *testing.T) {
	time.Sleep(20 * time.Second)
}
X
rm shop_test.go
FORMS=plain shoot timeout failed 1 - 'go test -timeout 1s .' X:bad_test.go:9::

tool go-run go version
mod; put main.go <<'X'
package main

import "fmt"

type shop struct{ prices map[string]int }

func (s *shop) add(name string) {
	s.prices[name]++
}

func main() {
	fmt.Println("starting")
	var s *shop
	s.add("a")
}
X
FORMS=plain shoot panic failed 1 - 'go run .' E:main.go:8::
put main.go <<'X'
package main

import "sync"

func main() {
	var m sync.Mutex
	m.Lock()
	m.Lock()
}
X
FORMS=plain shoot deadlock failed 1 - 'go run .' X:main.go:8::
put main.go <<'X'
package main

import (
	"errors"
	"log"
)

func main() {
	log.SetFlags(log.Lshortfile)
	log.Fatal(errors.New("no such order"))
}
X
FORMS=plain shoot fatal failed 1 - 'go run .' E:main.go:10::

tool gofmt go version
put a.go <<<$'package a\nfunc f( {\n}'
FORMS=plain shoot syntax failed 2 - 'gofmt -l a.go' E:a.go:2:9: E:a.go:3:1:

tool go-1.19 /usr/bin/go version
mod; bad_go
FORMS=plain TRUTH_TOOL=go shoot errors failed 2 - '/usr/bin/go build ./...' E:main.go:5:2: E:main.go:9:9: E:main.go:13:18: E:main.go:14:14: X:main.go:13:6:
