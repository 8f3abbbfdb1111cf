// Package loopback gives tests addresses of this machine to themselves.
package loopback

import (
	"fmt"
	"net"
)

// Host returns an address of the loopback network, for n from 1 to 250 another one and none that others use, where all of 127.0.0.0/8 is there (Linux);
// elsewhere 127.0.0.1. A server that gives its port up and takes it again needs one: on 127.0.0.1 another test may be given the port in between.
func Host(n int) string {
	host := fmt.Sprintf("127.83.112.%d", n)
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		return "127.0.0.1"
	}
	l.Close()
	return host
}
