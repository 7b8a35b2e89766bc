// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/login"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/tests/faces"
)

// elsewhere is a realm that is answered elsewhere, when it is released.
type elsewhere struct{ came, released chan struct{} }

func (elsewhere) Collect(context.Context, realm.Input) (realm.Credentials, *realm.Challenge, error) {
	wait := realm.Wait{Stage: realm.StageAsked, Number: "42", Since: "1", Every: 5 * time.Second}
	return realm.Credentials{}, &realm.Challenge{Further: true, Wait: &wait}, nil
}

func (e elsewhere) Watch(ctx context.Context, _ realm.Input, _ string, _ time.Duration) (bool, error) {
	e.came <- struct{}{}
	select {
	case <-e.released:
		return true, nil
	case <-ctx.Done():
		return false, fmt.Errorf("watching: %w", context.Cause(ctx))
	}
}

// Verify is never asked.
func (elsewhere) Verify(context.Context, realm.Credentials) (realm.Result, error) {
	return realm.Result{}, nil
}

// crowd is a world in which pages wait for news, and the nodes of which each bound how many.
type crowd struct {
	*faces.World
	t     *testing.T
	phone elsewhere
}

const nodes = 2 // which take turns in a world

func newCrowd(t *testing.T) *crowd {
	t.Helper()
	phone := elsewhere{make(chan struct{}), make(chan struct{})}
	w := faces.New(t, faces.Options{Seed: 7, Realms: []*realm.Realm{{Name: "elsewhere", Authenticator: phone, LoginModule: phone, MaxAge: time.Hour}}})
	return &crowd{w, t, phone}
}

// page begins a request that is answered elsewhere, and returns where its script looks for news.
func (c *crowd) page(b *faces.Browser) string {
	c.t.Helper()
	page := atLogin(c.t, b, "acr_values", "elsewhere", "scope", "openid")
	link := regexp.MustCompile(`data-watch="[^"]*[?&](?:amp;)?req=([^"&]+)`).FindStringSubmatch(page.Body)
	if link == nil {
		c.t.Fatalf("the page watches nothing:\n%s", page.Body)
	}
	return c.Issuer + login.PathNews + "?" + url.Values{"req": link[1:], "since": {"1"}}.Encode()
}

// wait has a page wait for news from an address, and returns where the answer will be.
func (c *crowd) wait(b *faces.Browser, target, address string) <-chan *faces.Page {
	c.t.Helper()
	tab := c.Browser(c.t)
	tab.Plant(b.Cookies())
	tab.Header.Set("Test-Client-IP", address)
	answer := make(chan *faces.Page, 1)
	go func() { answer <- tab.Send(http.MethodGet, target, nil) }()
	select {
	case <-c.phone.came:
	case early := <-answer:
		c.t.Fatalf("it does not wait: %d %s", early.Status, early.Body)
	}
	return answer
}

// gaveWay checks that a page was told to come again, and that there is no news.
func (c *crowd) gaveWay(answer <-chan *faces.Page) {
	c.t.Helper()
	page := <-answer
	if page.Status != http.StatusServiceUnavailable || page.Header.Get("Retry-After") != "5" || !strings.Contains(page.Body, `"changed":false`) {
		c.t.Errorf("a page that gave way is told %d, %v, %s", page.Status, page.Header, page.Body)
	}
}

// release answers everywhere, and checks that all those are told who still wait.
func (c *crowd) release(waiting ...<-chan *faces.Page) {
	c.t.Helper()
	close(c.phone.released)
	for i, answer := range waiting {
		if page := <-answer; page.Status != http.StatusOK || !strings.Contains(page.Body, `"changed":true`) {
			c.t.Errorf("page %d is told %d %s", i, page.Status, page.Body)
		}
	}
	if log := c.Log.String(); strings.Contains(log, "waiting for news") {
		c.t.Errorf("whoever comes again and again fills the log:\n%s", log)
	}
}

// TestOneRequestInManyTabs: the newest two of a node wait, and the others come again.
func TestOneRequestInManyTabs(t *testing.T) {
	t.Parallel()
	c := newCrowd(t)
	b := c.Browser(t)
	b.SignIn(faces.AliceLogin)
	target := c.page(b)
	var tabs []<-chan *faces.Page
	for range 4 * nodes {
		tabs = append(tabs, c.wait(b, target, "192.0.2.1"))
	}
	for _, tab := range tabs[:2*nodes] {
		c.gaveWay(tab)
	}
	c.release(tabs[2*nodes:]...)
}

// TestOneAddressKeepsNobodyOut: however many requests of one address wait, its own make room for one another, and others wait on.
func TestOneAddressKeepsNobodyOut(t *testing.T) {
	t.Parallel()
	const ofAddress = 64
	c := newCrowd(t)
	b := c.Browser(t)
	b.SignIn(faces.AliceLogin)
	other := c.wait(b, c.page(b), "198.51.100.7")
	neighbour := c.wait(b, c.page(b), "2001:db8:0:1::1")
	var theirs []<-chan *faces.Page
	for i := range ofAddress*nodes + 4 {
		theirs = append(theirs, c.wait(b, c.page(b), fmt.Sprintf("2001:db8::%x", i+1))) // one network, which one party has
	}
	for _, page := range theirs[:4] {
		c.gaveWay(page)
	}
	late := c.wait(b, c.page(b), "203.0.113.9")
	c.release(append(theirs[4:], other, neighbour, late)...)
}
