// SPDX-License-Identifier: Apache-2.0

package caddy_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

const large = 200 << 20

// TestStreamsPassUntouched: 200 MB in either direction, byte for byte.
func TestStreamsPassUntouched(t *testing.T) {
	t.Parallel()
	h := common(t)
	token := h.machine(t, "accounts:read")
	want := sum(t, io.LimitReader(new(pattern), large))
	t.Run("down", func(t *testing.T) {
		t.Parallel()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.all+"/?bytes="+strconv.Itoa(large), nil)
		if err != nil {
			t.Fatal(err)
		}
		bearer(token)(r)
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }() // it has been read
		if got := sum(t, response.Body); got != want {
			t.Errorf("%d: the stream is another one", response.StatusCode)
		}
	})
	t.Run("up", func(t *testing.T) {
		t.Parallel()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.all+"/", io.LimitReader(new(pattern), large))
		if err != nil {
			t.Fatal(err)
		}
		bearer(token)(r)
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if got := read(t, response).heard(t).Sum; got != want {
			t.Errorf("%d: the upstream got another stream", response.StatusCode)
		}
	})
}

func sum(t *testing.T, from io.Reader) string {
	t.Helper()
	hash := sha256.New()
	if _, err := io.Copy(hash, from); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// TestWebSocketPasses: with the right to it, the protocol changes and both sides talk.
func TestWebSocketPasses(t *testing.T) {
	t.Parallel()
	h := common(t)
	for token, status := range map[string]int{h.machine(t, "accounts:read"): http.StatusSwitchingProtocols, "x.y.z": http.StatusUnauthorized} {
		host := strings.TrimPrefix(h.all, "http://")
		connection, err := net.Dial("tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = connection.Close() }() // nothing more is said
		_, err = io.WriteString(connection, "GET /socket HTTP/1.1\r\nHost: "+host+"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
			"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\nAuthorization: Bearer "+token+"\r\nGatehouse-Subject: mallory\r\n\r\n")
		if err != nil {
			t.Fatal(err)
		}
		buffered := bufio.NewReader(connection)
		response, err := http.ReadResponse(buffered, nil)
		if err != nil {
			t.Fatal(err)
		}
		if response.StatusCode != status {
			t.Fatalf("the answer is %d, want %d", response.StatusCode, status)
		}
		if status != http.StatusSwitchingProtocols {
			continue
		}
		if got := response.Header.Get("X-Heard"); got != "machine" {
			t.Errorf("the upstream hears %q", got)
		}
		for _, word := range []string{"one", "two"} {
			if _, err := io.WriteString(connection, word+"\n"); err != nil {
				t.Fatal(err)
			}
			if line, err := buffered.ReadString('\n'); err != nil || line != "echo "+word+"\n" {
				t.Errorf("the upstream says %q (%v)", line, err)
			}
		}
	}
}
