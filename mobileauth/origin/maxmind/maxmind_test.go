// SPDX-License-Identifier: Apache-2.0

package maxmind_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"

	"github.com/gatehouse-id/gatehouse/mobileauth/origin"
	"github.com/gatehouse-id/gatehouse/mobileauth/origin/maxmind"
)

func english(name string) mmdbtype.Map {
	return mmdbtype.Map{"names": mmdbtype.Map{"en": mmdbtype.String(name)}}
}

// utrecht is an entry as GeoLite2-City has them, in two languages.
func utrecht() mmdbtype.Map {
	return mmdbtype.Map{
		"country":      mmdbtype.Map{"iso_code": mmdbtype.String("NL"), "names": mmdbtype.Map{"en": mmdbtype.String("Netherlands")}},
		"subdivisions": mmdbtype.Slice{english("Utrecht Province"), english("smaller")},
		"city":         mmdbtype.Map{"names": mmdbtype.Map{"en": mmdbtype.String("Utrecht"), "fr": mmdbtype.String("Utrecht (la ville)")}},
		"location":     mmdbtype.Map{"latitude": mmdbtype.Float64(52.1)},
	}
}

// database returns a file with entries by network.
func database(t testing.TB, entries map[string]mmdbtype.DataType) []byte {
	t.Helper()
	tree, err := mmdbwriter.New(mmdbwriter.Options{
		DatabaseType: "GeoIP2-City", RecordSize: 24, IncludeReservedNetworks: true, BuildEpoch: 1_763_000_000,
		Languages: []string{"en"}, Description: map[string]string{"en": "made for a test"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for network, entry := range entries {
		_, parsed, err := net.ParseCIDR(network)
		if err != nil {
			t.Fatal(err)
		}
		if err := tree.Insert(parsed, entry); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	if _, err := tree.WriteTo(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func write(t testing.TB, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "City.mmdb")
	replace(t, path, data, 0)
	return path
}

// replace writes a file and gives it a time of its own.
func replace(t testing.TB, path string, data []byte, n int) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, time.November, 1, 0, 0, n, 0, time.UTC)
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}

// TestLocate: research section 9.2, fields that may each be absent.
func TestLocate(t *testing.T) {
	t.Parallel()
	path := write(t, database(t, map[string]mmdbtype.DataType{
		"192.0.2.0/24":    utrecht(),
		"2001:db8:1::/48": utrecht(),
		"198.51.100.0/24": mmdbtype.Map{"country": mmdbtype.Map{"iso_code": mmdbtype.String("BE")}},
		"203.0.113.0/24":  mmdbtype.Map{"traits": mmdbtype.Map{"is_anycast": mmdbtype.Bool(true)}},
		"10.0.0.0/8":      mmdbtype.Map{"country": mmdbtype.String("not a map")},
	}))
	whole := origin.Place{CountryCode: "NL", Region: "Utrecht Province", City: "Utrecht"}
	for _, c := range []struct {
		name, address, language string
		want                    origin.Place
		fails                   bool
	}{
		{name: "IPv4", address: "192.0.2.7", want: whole},
		{name: "IPv6", address: "2001:db8:1::7", want: whole},
		{name: "IPv4 in IPv6 clothes", address: "::ffff:192.0.2.7", want: whole},
		{name: "another language, where it is known", address: "192.0.2.7", language: "fr",
			want: origin.Place{CountryCode: "NL", Region: "Utrecht Province", City: "Utrecht (la ville)"}},
		{name: "a country alone", address: "198.51.100.1", want: origin.Place{CountryCode: "BE"}},
		{name: "an entry that says nothing", address: "203.0.113.1"},
		{name: "an address that is not there", address: "127.0.0.1"},
		{name: "an entry of another shape", address: "10.1.2.3", fails: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f, err := maxmind.Open(maxmind.Config{Path: path, Language: c.language})
			if err != nil {
				t.Fatal(err)
			}
			got, err := f.Locate(t.Context(), netip.MustParseAddr(c.address))
			if c.fails != (err != nil) || c.fails && !errors.Is(err, maxmind.ErrFile) {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	good := database(t, map[string]mmdbtype.DataType{"192.0.2.0/24": utrecht()})
	for _, c := range []struct {
		name string
		path string
	}{
		{"no file", filepath.Join(t.TempDir(), "none.mmdb")},
		{"a folder", t.TempDir()},
		{"an empty file", write(t, nil)},
		{"another file", write(t, []byte("<html>not found</html>"))},
		{"a file that is cut off", write(t, good[:len(good)/2])},
		{"a file without its head", write(t, good[100:])},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if _, err := maxmind.Open(maxmind.Config{Path: c.path}); !errors.Is(err, maxmind.ErrFile) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func city(name string) map[string]mmdbtype.DataType {
	return map[string]mmdbtype.DataType{"192.0.2.0/24": mmdbtype.Map{"city": english(name)}}
}

// TestReload: a good file takes the place of the old one, a broken or a missing one does not.
func TestReload(t *testing.T) {
	t.Parallel()
	path := write(t, database(t, city("old")))
	f, err := maxmind.Open(maxmind.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	better := database(t, city("new"))
	for _, step := range []struct {
		name    string
		do      func()
		changed bool
		fails   bool
		want    string
	}{
		{name: "the same file", do: func() {}, want: "old"},
		{name: "a broken file", do: func() { replace(t, path, better[:200], 1) }, fails: true, want: "old"},
		{name: "the same broken file", do: func() {}, want: "old"},
		{name: "no file", do: func() { _ = os.Remove(path) }, fails: true, want: "old"}, // looked at next
		{name: "a good file", do: func() { replace(t, path, better, 2) }, changed: true, want: "new"},
	} {
		step.do()
		changed, err := f.Reload()
		if changed != step.changed || step.fails != (err != nil) {
			t.Errorf("%s: %v, %v", step.name, changed, err)
		}
		if got, err := f.Locate(t.Context(), netip.MustParseAddr("192.0.2.7")); err != nil || got.City != step.want {
			t.Errorf("%s: %+v, %v", step.name, got, err)
		}
	}
}

// TestRun: the operator is told once of each file, and of one that is gone.
func TestRun(t *testing.T) {
	t.Parallel()
	path := write(t, database(t, city("old")))
	better := database(t, city("new"))
	synctest.Test(t, func(t *testing.T) {
		var told []string
		f, err := maxmind.Open(maxmind.Config{Path: path, Changed: func(_ context.Context, err error) {
			switch {
			case err == nil:
				told = append(told, "new")
			case errors.Is(err, os.ErrNotExist):
				told = append(told, "gone")
			default:
				told = append(told, "broken")
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var done sync.WaitGroup
		done.Go(func() { f.Run(ctx) })
		for n, do := range []func(){
			func() {}, func() { replace(t, path, better[:300], 1) }, func() { replace(t, path, better, 2) },
			func() { _ = os.Remove(path) }, func() {}, func() { replace(t, path, better, 3) }, // looked at below
		} {
			synctest.Wait()
			do()
			<-time.After(2*maxmind.Interval + time.Duration(n)) // of the bubble
		}
		cancel()
		done.Wait()
		if got := strings.Join(told, " "); got != "broken new gone new" {
			t.Errorf("told %q", got)
		}
	})
}

// TestLocateWhileReloading is for the race detector.
func TestLocateWhileReloading(t *testing.T) {
	t.Parallel()
	files := [][]byte{database(t, city("a")), database(t, city("bb"))}
	path := write(t, files[0])
	f, err := maxmind.Open(maxmind.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 500 {
				if p, err := f.Locate(t.Context(), netip.MustParseAddr("192.0.2.7")); err != nil || p.City != "a" && p.City != "bb" {
					t.Errorf("%+v, %v", p, err)
					return
				}
			}
		})
	}
	for n := range 20 {
		replacement := filepath.Join(filepath.Dir(path), "next")
		replace(t, replacement, files[(n+1)%2], n+1)
		if err := os.Rename(replacement, path); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Reload(); err != nil {
			t.Error(err)
		}
	}
	group.Wait()
}

func BenchmarkLocate(b *testing.B) {
	f, err := maxmind.Open(maxmind.Config{Path: write(b, database(b, map[string]mmdbtype.DataType{"192.0.2.0/24": utrecht()}))})
	if err != nil {
		b.Fatal(err)
	}
	address := netip.MustParseAddr("192.0.2.7")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.Locate(b.Context(), address); err != nil {
			b.Fatal(err)
		}
	}
}
