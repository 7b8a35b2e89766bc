// SPDX-License-Identifier: Apache-2.0

package carriers_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"

	"github.com/gatehouse-id/gatehouse/mobileauth/origin"
)

var utrecht = origin.Place{CountryCode: "NL", Region: "Utrecht", City: "Utrecht"}

// places is a file with one network in it.
func places(t *testing.T) []byte {
	t.Helper()
	tree, err := mmdbwriter.New(mmdbwriter.Options{
		DatabaseType: "GeoIP2-City", RecordSize: 24, IncludeReservedNetworks: true, Languages: []string{"en"},
		Description: map[string]string{"en": "made for a test"},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, network, err := net.ParseCIDR("192.0.2.0/24")
	if err != nil {
		t.Fatal(err)
	}
	named := mmdbtype.Map{"names": mmdbtype.Map{"en": mmdbtype.String("Utrecht")}}
	err = tree.Insert(network, mmdbtype.Map{
		"country": mmdbtype.Map{"iso_code": mmdbtype.String("NL")}, "subdivisions": mmdbtype.Slice{named}, "city": named,
	})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := tree.WriteTo(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestMaxMind(t *testing.T) {
	t.Parallel()
	l := guest[interface {
		origin.Locator
		Run(ctx context.Context)
	}](t, "gatehouse.geolocation.maxmind", "maxmind "+write(t, "City.mmdb", places(t)))
	if place, err := l.Locate(t.Context(), netip.MustParseAddr("192.0.2.7")); err != nil || place != utrecht {
		t.Errorf("Locate = %+v, %v", place, err)
	}
	if place, err := l.Locate(t.Context(), netip.MustParseAddr("198.51.100.7")); err == nil && place != (origin.Place{}) {
		t.Errorf("an address that is not there: %+v", place)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	l.Run(ended) // which returns
}

func TestLocationService(t *testing.T) {
	t.Parallel()
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Header.Get("X-Key") != "ge0-secret" || string(bytes.TrimSpace(body)) != `{"ip":"192.0.2.7"}` {
			http.Error(w, "who are you?", http.StatusForbidden)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"country_code":"NL","region":"Utrecht","city":"Utrecht"}`)
	}))
	t.Cleanup(service.Close)
	l := guest[origin.Locator](t, "gatehouse.geolocation.http",
		"http "+service.URL+" {\nheader X-Key {file."+write(t, "key", []byte("ge0-secret"))+"}\n}", "ge0-secret")
	if place, err := l.Locate(t.Context(), netip.MustParseAddr("192.0.2.7")); err != nil || place != utrecht {
		t.Errorf("Locate = %+v, %v", place, err)
	}
}
