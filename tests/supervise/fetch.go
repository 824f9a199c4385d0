// SPDX-License-Identifier: ISC

// fetch gets pages, so many at the same time: fetch COUNT URL...
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"
)

const wanted = "hello through the proxy\n"

func get(client *http.Client, url string) error {
	response, err := client.Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && string(body) != wanted {
		err = fmt.Errorf("the page is %q", body)
	}
	return err
}

func main() {
	count, _ := strconv.Atoi(os.Args[1])
	urls := os.Args[2:]
	client := &http.Client{
		Transport: &http.Transport{DisableKeepAlives: true},
		Timeout:   60 * time.Second,
	}
	results := make(chan error, count)
	var start sync.WaitGroup
	start.Add(1)
	for i := 0; i < count; i++ {
		go func(url string) {
			start.Wait()
			results <- get(client, url)
		}(urls[i%len(urls)])
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
