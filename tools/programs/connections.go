// Holds more connections than the range has ports.
package main

import (
	"fmt"
	"net"
	"os"
	"sync"
)

func main() {
	var all sync.WaitGroup
	held := make(chan net.Conn, 18)
	for n := 0; n < 18; n++ {
		all.Add(1)
		go func() {
			defer all.Done()
			if one, err := net.Dial("tcp", os.Args[1]); err == nil {
				held <- one
			}
		}()
	}
	all.Wait()
	fmt.Println(18-len(held), "refused")
}
