package loopback

import (
	"net"
	"testing"
)

// TestHost: what listens on one address leaves the port free on the others.
func TestHost(t *testing.T) {
	first, err := net.Listen("tcp", Host(1)+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	_, port, _ := net.SplitHostPort(first.Addr().String())
	second, err := net.Listen("tcp", net.JoinHostPort(Host(2), port))
	if Host(1) == Host(2) {
		t.Skip("there is one loopback address")
	}
	if err != nil {
		t.Fatal(err)
	}
	second.Close()
}
