// SPDX-License-Identifier: ISC

// datagram.go - sends datagrams from many goroutines, each by a socket of its own.
//
//	datagram COUNT HOST:PORT
package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"time"
)

func echo(address string, i int) bool {
	conn, err := net.Dial("udp", address)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return false
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	sent := strconv.Itoa(i)
	received := make([]byte, 64)
	if _, err = conn.Write([]byte(sent)); err == nil {
		var n int
		n, err = conn.Read(received)
		if err == nil && string(received[:n]) == sent {
			return true
		}
	}
	fmt.Fprintln(os.Stderr, err)
	return false
}

func main() {
	count, _ := strconv.Atoi(os.Args[1])
	var wait sync.WaitGroup
	var lock sync.Mutex
	good := 0
	for i := 0; i < count; i++ {
		wait.Add(1)
		go func(i int) {
			defer wait.Done()
			if echo(os.Args[2], i) {
				lock.Lock()
				good++
				lock.Unlock()
			}
		}(i)
	}
	wait.Wait()
	fmt.Printf("%d of %d\n", good, count)
}
