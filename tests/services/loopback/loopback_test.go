// SPDX-License-Identifier: Apache-2.0

package loopback_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"testing"

	"github.com/gatehouse-id/gatehouse/tests/services/loopback"
)

func TestAuthority(t *testing.T) {
	t.Parallel()
	ours, err := loopback.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	others, err := loopback.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	server, err := ours.Server()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"localhost", "127.0.0.1"} {
		if _, err := server.Leaf.Verify(x509.VerifyOptions{Roots: ours.Pool(), DNSName: name}); err != nil {
			t.Errorf("its own certificate for %s: %v", name, err)
		}
	}
	if _, err := server.Leaf.Verify(x509.VerifyOptions{Roots: others.Pool()}); err == nil {
		t.Error("another authority vouches for the certificate")
	}
	if pool := x509.NewCertPool(); !pool.AppendCertsFromPEM(ours.PEM()) || !pool.Equal(ours.Pool()) {
		t.Error("PEM and Pool differ")
	}
}

func TestAnInboxGivesEachNoticeOnceAndInOrder(t *testing.T) {
	t.Parallel()
	var b loopback.Inbox
	server := httptest.NewServer(&b)
	t.Cleanup(server.Close)
	address := `{"endpoint":"https://push.example/a/b?c"}`
	for i := range 3 {
		b.Put(loopback.Notice{Address: address, Operation: strconv.Itoa(i)})
	}
	b.Put(loopback.Notice{Address: "somebody else", Operation: "x"})
	for i := range 3 {
		status, n := read(t, server.URL+loopback.InboxPath+url.PathEscape(address))
		if status != http.StatusOK || n.Operation != strconv.Itoa(i) || n.Address != address {
			t.Errorf("reading %d = %d %+v", i, status, n)
		}
	}
	if status, _ := read(t, server.URL+loopback.InboxPath+url.PathEscape(address)+"?wait=0s"); status != http.StatusNoContent {
		t.Errorf("an empty inbox answers %d", status)
	}
}

func TestAReaderIsWokenByWhatArrives(t *testing.T) {
	t.Parallel()
	var b loopback.Inbox
	got := make(chan loopback.Notice)
	go func() {
		n, _ := b.Take(t.Context(), "phone")
		got <- n
	}()
	b.Put(loopback.Notice{Address: "phone", Operation: "op"})
	if n := <-got; n.Operation != "op" {
		t.Errorf("it read %+v", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if n, ok := b.Take(ctx, "phone"); ok {
		t.Errorf("a notice was read twice: %+v", n)
	}
}

func TestAFullInboxForgetsTheOldest(t *testing.T) {
	t.Parallel()
	var b loopback.Inbox
	for i := range 150 {
		b.Put(loopback.Notice{Address: "phone", Operation: strconv.Itoa(i)})
	}
	if n, _ := b.Take(t.Context(), "phone"); n.Operation != "50" {
		t.Errorf("the oldest is %q, want 50", n.Operation)
	}
}

func TestAnInboxRefusesWhatIsNoQuestion(t *testing.T) {
	t.Parallel()
	var b loopback.Inbox
	server := httptest.NewServer(&b)
	t.Cleanup(server.Close)
	for path, want := range map[string]int{
		loopback.InboxPath: http.StatusNotFound, loopback.InboxPath + "a?wait=soon": http.StatusBadRequest,
		loopback.InboxPath + "a?wait=-1s": http.StatusBadRequest,
	} {
		if status, _ := read(t, server.URL+path); status != want {
			t.Errorf("GET %s = %d, want %d", path, status, want)
		}
	}
}

func TestScript(t *testing.T) {
	t.Parallel()
	var s loopback.Script[int]
	s.Add(1, 2)
	for i, want := range []int{1, 2} {
		if got, ok := s.Next(); !ok || got != want {
			t.Errorf("step %d = %d %t", i, got, ok)
		}
	}
	if _, ok := s.Next(); ok {
		t.Error("the script goes on after its end")
	}
}

func read(t *testing.T, address string) (int, loopback.Notice) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var n loopback.Notice
	if response.StatusCode == http.StatusOK {
		if err := json.NewDecoder(response.Body).Decode(&n); err != nil {
			t.Fatal(err)
		}
	}
	return response.StatusCode, n
}
