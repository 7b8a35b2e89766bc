// SPDX-License-Identifier: Apache-2.0

package apns_test

import (
	"bytes"
	"crypto/tls"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sideshow/apns2"
	"github.com/sideshow/apns2/token"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/gatehouse-id/gatehouse/tests/services/apns"
)

// wire speaks HTTP/2 frame by frame.
type wire struct {
	t       *testing.T
	framer  *http2.Framer
	block   bytes.Buffer
	encoder *hpack.Encoder
}

func (w *world) dial(t *testing.T) *wire {
	t.Helper()
	dialer := &tls.Dialer{Config: &tls.Config{RootCAs: w.authority.Pool(), NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS12}}
	conn, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(w.URL, "https://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := conn.Write([]byte(http2.ClientPreface)); err != nil {
		t.Fatal(err)
	}
	x := &wire{t: t, framer: http2.NewFramer(conn, conn)}
	x.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	x.encoder = hpack.NewEncoder(&x.block)
	if err := x.framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	return x
}

// ask opens a stream with a good notification and a token; the body is sent later by finish.
func (x *wire) ask(id uint32, bearer string) {
	x.t.Helper()
	x.block.Reset()
	for _, f := range [][2]string{
		{":method", "POST"}, {":scheme", "https"}, {":path", "/3/device/" + device}, {":authority", "127.0.0.1"},
		{"authorization", "bearer " + bearer}, {"apns-topic", topic}, {"apns-push-type", "alert"},
	} {
		if err := x.encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}); err != nil {
			x.t.Fatal(err)
		}
	}
	if err := x.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: x.block.Bytes(), EndHeaders: true}); err != nil {
		x.t.Fatal(err)
	}
}

func (x *wire) finish(id uint32) {
	x.t.Helper()
	if err := x.framer.WriteData(id, true, []byte(alert)); err != nil {
		x.t.Fatal(err)
	}
}

// read returns the next frames in words, until one is what was wanted.
func (x *wire) read(until string) []string {
	x.t.Helper()
	var seen []string
	for {
		frame, err := x.framer.ReadFrame()
		if err != nil {
			x.t.Fatalf("reading after %q: %v", seen, err)
		}
		word := ""
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if n, ok := f.Value(http2.SettingMaxConcurrentStreams); ok {
				word = "streams " + strconv.Itoa(int(n))
			}
		case *http2.RSTStreamFrame:
			word = "reset " + strconv.Itoa(int(f.StreamID)) + " " + f.ErrCode.String()
		case *http2.MetaHeadersFrame:
			word = "answer " + strconv.Itoa(int(f.StreamID)) + " " + f.PseudoValue("status")
		case *http2.GoAwayFrame:
			word = "goaway " + strconv.Itoa(int(f.LastStreamID)) + " " + string(f.DebugData())
		}
		if word != "" {
			seen = append(seen, word)
		}
		if word == until {
			return seen
		}
	}
}

func TestOneStreamUntilATokenIsValid(t *testing.T) {
	t.Parallel()
	w := start(t, func(c *apns.Config) { c.Streams = 7 })
	x := w.dial(t)
	x.read("streams 1")
	x.ask(1, w.token(t, now.Add(-2*time.Hour)))
	x.ask(3, w.token(t, now))
	x.read("reset 3 REFUSED_STREAM")
	x.finish(1)
	x.read("answer 1 403") // a token that is not valid does not help
	x.ask(5, w.token(t, now))
	x.ask(7, w.token(t, now))
	x.read("reset 7 REFUSED_STREAM")
	x.finish(5)
	x.read("streams 7")
	x.read("answer 5 200")
	for id := uint32(9); id < 9+2*8; id += 2 {
		x.ask(id, w.token(t, now))
	}
	x.read("reset 23 REFUSED_STREAM")
	if got := w.Stats(); got.Surplus != 3 || got.Most != 7 {
		t.Errorf("stats = %+v, want 3 surplus streams and 7 at most", got)
	}
}

func TestAConnectionRemembersItsProvider(t *testing.T) {
	t.Parallel()
	other, err := apns.NewKey("OTHERTEAM0", "OTHERKEY00")
	if err != nil {
		t.Fatal(err)
	}
	var at atomic.Pointer[time.Time]
	at.Store(&now)
	w := start(t, func(c *apns.Config) {
		c.Keys = append(c.Keys, other)
		c.Now = func() time.Time { return *at.Load() }
	})
	first, second := w.token(t, now), w.token(t, now.Add(time.Second))
	foreign, err := other.Token(now)
	if err != nil {
		t.Fatal(err)
	}
	x := w.dial(t)
	for i, step := range []struct {
		token, want string
		later       time.Duration
	}{
		{first, "200", 0},
		{first, "200", 0},
		{second, "429", time.Second},
		{foreign, "403", time.Second},
		{second, "429", 19 * time.Minute},
		{second, "200", 20 * time.Minute},
		{first, "429", 20 * time.Minute},
	} {
		moment := now.Add(step.later)
		at.Store(&moment)
		id := uint32(2*i + 1) //nolint:gosec // small
		x.ask(id, step.token)
		x.finish(id)
		x.read("answer " + strconv.Itoa(int(id)) + " " + step.want)
	}
}

func TestGoAwayLeavesTheRequestUnseen(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	w.Script.Add(apns.Step{GoAway: true, Reason: "Shutdown"})
	x := w.dial(t)
	x.ask(1, w.token(t, now))
	x.finish(1)
	x.read(`goaway 0 {"reason":"Shutdown"}`)
	if _, err := x.framer.ReadFrame(); err == nil {
		t.Error("the connection goes on")
	}
}

// The library that the product sends with is another reading of Apple's documents, with tokens of a library of its own.
func TestALibraryOfOthersIsServed(t *testing.T) {
	t.Parallel()
	w := start(t, func(c *apns.Config) { c.Now = time.Now })
	p8, err := w.key.P8()
	if err != nil {
		t.Fatal(err)
	}
	key, err := token.AuthKeyFromBytes(p8)
	if err != nil {
		t.Fatal(err)
	}
	client := apns2.NewTokenClient(&token.Token{AuthKey: key, KeyID: w.key.KeyID, TeamID: w.key.TeamID})
	client.Host = w.URL
	client.HTTPClient = &http.Client{Transport: &http.Transport{
		ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: w.authority.Pool(), MinVersion: tls.VersionTLS12},
	}}
	notification := &apns2.Notification{DeviceToken: device, Topic: topic, Payload: []byte(alert)}
	if r, err := client.PushWithContext(t.Context(), notification); err != nil || !r.Sent() || r.ApnsID == "" {
		t.Errorf("a push = %+v, %v", r, err)
	}
	gone := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	w.Kill(device, gone)
	if r, err := client.PushWithContext(t.Context(), notification); err != nil || r.Reason != apns2.ReasonUnregistered || !r.Timestamp.Equal(gone) {
		t.Errorf("a push to the dead = %+v, %v", r, err)
	}
}

func TestCertificatesStandForATopicAndAnEnvironment(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	for _, tt := range []struct {
		name, certified, topic string
		sandbox                bool
		until                  time.Time
		want                   int
		reason                 string
	}{
		{"its topic", topic, topic, false, now.AddDate(0, 1, 0), 200, ""},
		{"no topic", topic, "", false, now.AddDate(0, 1, 0), 200, ""},
		{"another topic", topic, "com.example.other", false, now.AddDate(0, 1, 0), 400, apns2.ReasonTopicDisallowed},
		{"the sandbox's", topic, topic, true, now.AddDate(0, 1, 0), 403, apns2.ReasonBadCertificateEnvironment},
		{"over", topic, topic, false, now.AddDate(0, 0, -1), 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cert, err := apns.Certificate(w.authority, tt.certified, tt.sandbox, tt.until)
			if err != nil {
				t.Fatal(err)
			}
			roots := w.authority.Pool()
			client := &apns2.Client{Host: w.URL, HTTPClient: &http.Client{Transport: &http.Transport{
				ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12},
			}}}
			r, err := client.PushWithContext(t.Context(), &apns2.Notification{DeviceToken: device, Topic: tt.topic, Payload: []byte(alert)})
			if tt.want == 0 {
				if err == nil {
					t.Errorf("answer = %+v, want none", r)
				}
				return
			}
			if err != nil || r.StatusCode != tt.want || r.Reason != tt.reason {
				t.Errorf("answer = %+v, %v; want %d %s", r, err, tt.want, tt.reason)
			}
		})
	}
}

func TestStartRefusesWhatIsMissing(t *testing.T) {
	t.Parallel()
	if _, err := apns.Start(apns.Config{}); err == nil {
		t.Error("it started without an authority")
	}
}
