// SPDX-License-Identifier: Apache-2.0

package web_test

import (
	"bytes"
	"image"
	"image/color"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"rsc.io/qr"

	"github.com/gatehouse-id/gatehouse/internal/web"
)

const invitation = "gatehouse://enroll?v=1&issuer=https%3A%2F%2Fid.example.com&operation=op_1&code=AAAAA-BBBBB-CCCCC-DDDDD"

// adding is the page that adds a phone, in one of its states.
func adding(locale string, state web.AddState) web.AddPhonePage {
	p := web.AddPhonePage{
		Locale: locale, State: state, App: "Example Bank", Phone: "Sanne’s phone", TriesLeft: 2, Refresh: 5 * time.Second,
		SelfURL: "/account/phones/add?registration=op_1", BackURL: "/account", Action: "/account/phones/add", Hidden: hidden, Expires: when,
	}
	if state == web.AddWaiting {
		p.Code, p.QR = "AAAAA-BBBBB-CCCCC-DDDDD", invitation
	}
	return p
}

func phonePage(locale string) web.PhonePage {
	return web.PhonePage{
		Locale: locale, Action: "/account/phone", BackURL: "/account", RemoveURL: "/account/phone?id=dev_1&remove=yes", Hidden: hidden,
		Phone: web.Phone{ID: "dev_1", Name: `My "phone"`, Model: "Pixel 9", App: "Example Bank", Status: "active"},
	}
}

// phoneSamples are the pages about phones as people meet them.
func phoneSamples(locale string) []sample {
	removing, named := phonePage(locale), phonePage(locale)
	removing.Removing = true
	named.Message, named.Kind = web.MessagePhoneName, web.KindError
	all := []sample{
		{name: "account-phones", form: true, buttons: []string{"add_phone=bank", "everywhere=all"}, page: web.AccountPage{
			Locale: locale, User: "Sanne de Vries", Action: "/account", Hidden: hidden, Phones: &web.AccountPhones{
				Phones: []web.Phone{
					{ID: "dev_1", Name: "My phone", Model: "Pixel 9", App: "Example Bank", Status: "active", URL: "/account/phone?id=dev_1", Since: when, Seen: when, Grade: "hardware", Shown: when},
					{ID: "dev_2", Model: "iPhone 17", Status: "quarantined"}, {ID: "dev_3", App: "Example Bank", Status: "something new"},
				},
				Apps: []web.PhoneApp{{ID: "bank", Name: "Example Bank"}}, Adding: "/account/phones/add?registration=op_1",
				Operations: []web.Operation{
					{Kind: "authorisation", State: "approved", Title: "Pay € 10", At: when}, {Kind: "authentication", State: "expired"},
					{Kind: "registration", State: "failed"}, {Kind: "other", State: "denied"},
				},
			},
		}},
		{name: "account-phones-none", form: true, buttons: []string{"add_phone=bank", "add_phone=other"}, page: web.AccountPage{
			Locale: locale, User: "Sanne de Vries", Action: "/account", Hidden: hidden, Phones: &web.AccountPhones{
				Apps: []web.PhoneApp{{ID: "bank", Name: "Example Bank"}, {ID: "other", Name: "Other"}}, Disowned: when,
			},
		}},
		{name: "phone", form: true, page: phonePage(locale)},
		{name: "phone-named", form: true, page: named},
		{name: "phone-remove", form: true, buttons: []string{"remove_phone=dev_1"}, page: removing},
	}
	for _, state := range []web.AddState{
		web.AddWaiting, web.AddConfirm, web.AddWrong, web.AddDone, web.AddHeld, web.AddCheck, web.AddExpired, web.AddRefused,
	} {
		open := state == web.AddWaiting || state == web.AddConfirm || state == web.AddWrong
		s := sample{name: "addphone-" + string(state), form: open, page: adding(locale, state)}
		if open {
			s.buttons = []string{"stop=stop"}
		}
		all = append(all, s)
	}
	return all
}

var rows = regexp.MustCompile(`M(\d+) (\d+)h(\d+)v1h-(\d+)z`)

// What is drawn is the code of the text, module by module, on white with the margin that readers need.
func TestQRCode(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, web.Config{})
	doc := parse(t, render(t, r, http.StatusOK, adding("en", web.AddWaiting)).Body.String())
	paths := find(find(doc, "svg")[1], "path")
	want, err := qr.Encode(invitation, qr.M)
	if err != nil {
		t.Fatal(err)
	}
	size := want.Size + 8
	if got := attr(find(doc, "svg")[1], "viewbox") + attr(find(doc, "svg")[1], "viewBox"); got != "0 0 "+strconv.Itoa(size)+" "+strconv.Itoa(size) {
		t.Fatalf("viewBox is %q, want %d modules", got, size)
	}
	drawn := image.NewGray(image.Rect(0, 0, size, size))
	number := func(text string) int { n, _ := strconv.Atoi(text); return n } // the expression lets digits through
	path := attr(paths[1], "d")
	for _, m := range rows.FindAllStringSubmatch(path, -1) {
		if m[3] != m[4] {
			t.Fatalf("%q is no rectangle", m[0])
		}
		for x := range number(m[3]) {
			drawn.Set(number(m[1])+x, number(m[2]), color.Gray{Y: 1})
		}
	}
	if rest := rows.ReplaceAllString(path, ""); rest != "" {
		t.Fatalf("the path also has %q", rest)
	}
	var expected bytes.Buffer
	for y := range size {
		for x := range size {
			black := x >= 4 && y >= 4 && x < size-4 && y < size-4 && want.Black(x-4, y-4)
			expected.WriteByte(map[bool]byte{true: 1}[black])
		}
	}
	if !bytes.Equal(drawn.Pix, expected.Bytes()) {
		t.Error("the modules differ")
	}
	if attr(paths[0], "fill") != "#fff" || attr(paths[1], "fill") != "#000" {
		t.Error("the picture is not black on white")
	}
}

// A page is fetched anew while it waits, and never under the hands of somebody who types.
func TestOnlyWaitingPagesAreFetchedAnew(t *testing.T) {
	t.Parallel()
	eachSample(t, func(t *testing.T, s sample, _, body string) {
		waits := strings.Contains(body, `http-equiv="refresh" content="5"`)
		if waits != (s.name == "addphone-waiting") {
			t.Errorf("fetched anew: %v", waits)
		}
	})
}

func TestTriesLeft(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, web.Config{})
	page := adding("en", web.AddWrong)
	for n, want := range map[int]string{1: "1 try left", 2: "2 tries left"} {
		page.TriesLeft = n
		if body := render(t, r, http.StatusOK, page).Body.String(); !strings.Contains(body, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

// What leads elsewhere, or shows no code where there has to be one, is not sent.
func TestPhonePagesThatAreWrong(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, web.Config{})
	nowhere := phonePage("en")
	nowhere.BackURL = "https://evil.example/"
	elsewhere := phonePage("en")
	elsewhere.RemoveURL = "//evil.example/"
	codeless, blank, away, astray := adding("en", web.AddWaiting), adding("en", web.AddWaiting), adding("en", web.AddDone), adding("en", web.AddDone)
	codeless.Code, blank.QR, away.SelfURL, astray.BackURL = "", "", "//evil.example", "x"
	large := adding("en", web.AddWaiting)
	large.QR = strings.Repeat("x", 5000)
	account := func(p web.AccountPhones) web.Page { return web.AccountPage{Action: "/account", Phones: &p} }
	for i, page := range []web.Page{
		nowhere, elsewhere, codeless, blank, away, astray, large, account(web.AccountPhones{Adding: "//evil.example"}),
		account(web.AccountPhones{Phones: []web.Phone{{URL: "https://evil.example"}}}),
	} {
		if got := render(t, r, http.StatusOK, page).Code; got != http.StatusInternalServerError {
			t.Errorf("page %d: status %d", i, got)
		}
	}
}
