package cli_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// fakeEngine listens on a socket as a daemon would, and behaves: "engine hang
// SOCKET". It goes with the script.
func fakeEngine(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: engine MODE SOCKET")
	}
	answer, ok := map[string]func(net.Conn, <-chan struct{}, bool){
		"hang":    func(_ net.Conn, end <-chan struct{}, _ bool) { <-end },
		"refuse":  func(net.Conn, <-chan struct{}, bool) {},
		"garbage": func(c net.Conn, _ <-chan struct{}, _ bool) { fmt.Fprint(c, strings.Repeat("\x00\x1b[2J\n", 100)) },
		"page":    func(c net.Conn, _ <-chan struct{}, head bool) { reply(c, head, "200 OK", "<html>\x1b[2J</html>") },
		"broken": func(c net.Conn, _ <-chan struct{}, head bool) {
			reply(c, head, "500 Oh", `{"message":"boom \u001b[2J"}`)
		},
		"drip": func(c net.Conn, end <-chan struct{}, _ bool) {
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n[")
			t := time.NewTicker(20 * time.Millisecond)
			defer t.Stop()
			for {
				select {
				case <-end:
					return
				case <-t.C:
					fmt.Fprint(c, " ")
				}
			}
		},
		"empty": func(c net.Conn, _ <-chan struct{}, head bool) { reply(c, head, "200 OK", "null") },
	}[args[0]]
	if !ok {
		ts.Fatalf("no mode %q", args[0])
	}
	l, err := net.Listen("unix", ts.MkAbs(args[1]))
	if err != nil {
		ts.Fatalf("listening: %v", err)
	}
	end := make(chan struct{})
	ts.Defer(func() {
		close(end)
		_ = l.Close()
	})
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				r := bufio.NewReader(c)
				for {
					req, err := http.ReadRequest(r)
					if err != nil {
						return
					}
					_ = req.Body.Close()
					answer(c, end, req.Method == http.MethodHead)
					if args[0] != "page" && args[0] != "broken" && args[0] != "empty" {
						return
					}
				}
			}()
		}
	}()
}

// reply answers; to HEAD with the headers alone, or the body would be read as the next answer.
func reply(c net.Conn, head bool, status, body string) {
	n := len(body)
	if head {
		body = ""
	}
	fmt.Fprintf(c, "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", status, n, body)
}
