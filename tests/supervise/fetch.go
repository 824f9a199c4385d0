// SPDX-License-Identifier: ISC

// fetch gets the page /hello, so many times at once: fetch COUNT HOST:PORT...
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

func get(address string) error {
	conn, err := net.DialTimeout("tcp", address, 60*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /hello HTTP/1.0\r\n\r\n")
	answer, err := io.ReadAll(conn)
	if err == nil && !strings.HasSuffix(string(answer), "\nhello through the proxy\n") {
		err = fmt.Errorf("the answer is %q", answer)
	}
	return err
}

func main() {
	count, _ := strconv.Atoi(os.Args[1])
	targets := os.Args[2:]
	results := make(chan error, count)
	var start sync.WaitGroup
	start.Add(1)
	for i := 0; i < count; i++ {
		go func(target string) {
			start.Wait()
			results <- get(target)
		}(targets[i%len(targets)])
	}
	start.Done()
	good := 0
	for i := 0; i < count; i++ {
		if err := <-results; err == nil {
			good++
		} else {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	fmt.Println(good, "of", count)
}
