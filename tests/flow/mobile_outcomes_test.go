// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"bytes"
	"encoding/json"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/session"
	"github.com/gatehouse-id/gatehouse/mobileauth/caution"
	byphone "github.com/gatehouse-id/gatehouse/mobileauth/challenge"
	handheld "github.com/gatehouse-id/gatehouse/mobileauth/device"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
)

// seen is what somebody sees of a question, on whatever face.
type seen struct {
	done    bool
	number  string
	text    string // everything that is said
	request string
}

// face is where a person is asked.
type face interface {
	begin() seen
	look() seen
	// do sends one field, or presses a button that sends it.
	do(field, value string) seen
}

// inBrowser is a browser's face.
type inBrowser struct {
	*browser
	at page
}

func (f *inBrowser) seen(p page) seen {
	if p.url.Query().Get("code") != "" {
		return seen{done: true}
	}
	f.at = p
	request := ""
	for _, field := range hidden.FindAllStringSubmatch(p.body, -1) {
		if field[1] == session.FieldRequest {
			request = field[2]
		}
	}
	return seen{number: p.number(), text: html.UnescapeString(p.body), request: request}
}

func (f *inBrowser) begin() seen                 { return f.seen(f.pays()) }
func (f *inBrowser) do(field, value string) seen { return f.seen(f.submit(f.at, field, value)) }

// look comes to the page anew.
func (f *inBrowser) look() seen {
	if f.at.url.RawQuery == "" && anew.FindString(f.at.body) == "" {
		return f.seen(f.get(issuer + authz.PathLogin + "?" + url.Values{session.FieldRequest: {f.seen(f.at).request}}.Encode()))
	}
	return f.seen(f.again(f.at))
}

// inApp is an app's face.
type inApp struct{ *phone }

func (f inApp) seen(a answer) seen {
	if a.text("authorization_code") != "" {
		return seen{done: true}
	}
	told := challengeOf(f.t, a, "phone")
	var data struct {
		Data map[string]string `json:"data"`
	}
	text, err := json.Marshal(told)
	must(f.t, err)
	must(f.t, json.Unmarshal(text, &data))
	var plain bytes.Buffer
	encoder := json.NewEncoder(&plain)
	encoder.SetEscapeHTML(false)
	must(f.t, encoder.Encode(told))
	handle, ok := authz.ParseAuthSessionHandle(f.held)
	if !ok {
		f.t.Fatalf("the app holds %q", f.held)
	}
	held, err := f.w.store.AuthSession(f.t.Context(), handle, "phone")
	must(f.t, err)
	return seen{number: data.Data["number"], text: plain.String(), request: held.RequestID}
}

func (f inApp) begin() seen {
	f.ask("pay")
	return f.seen(f.send("answers", `{"password":{"username":"alice","password":"`+password+`"}}`))
}

func (f inApp) look() seen { return f.seen(f.send()) }

func (f inApp) do(field, value string) seen {
	return f.seen(f.give(map[string]map[string]string{"phone": {field: value}}))
}

// faces are both.
func (w *world) faces(t *testing.T) map[string]face {
	return map[string]face{"browser": &inBrowser{browser: w.browser(t)}, "app": inApp{w.phone(t)}}
}

// behind is the operation of a request.
func (w *world) behind(t *testing.T, s seen) operation.Operation {
	t.Helper()
	request, err := w.store.Request(t.Context(), s.request)
	must(t, err)
	kept := request.RealmState["phone"]
	var state struct {
		Operation string `json:"operation"`
	}
	must(t, json.Unmarshal(kept[bytes.IndexByte(kept, '{'):], &state))
	return w.operation(t, state.Operation)
}

// What people read.
const (
	saysNo       = "You said no on your phone"
	saysNotMe    = "it was not you who began"
	saysExpired  = "Nobody confirmed it in time."
	saysFailed   = "Too many answers were wrong"
	saysWrong    = "That code is not right"
	saysBack     = "You took the question back."
	saysOther    = "Somebody else’s phone answered."
	saysNotNow   = "We cannot ask you in this way right now."
	saysAgain    = "Ask me again"
	askedByPhone = "Open the app and answer it there."
)

// methods are how the phone says yes, by mobile type.
var methods = map[string]func(t *testing.T, w *world, f face, s seen, phone *handheld.Device) seen{
	"push_pin": func(t *testing.T, _ *world, f face, s seen, phone *handheld.Device) seen {
		approves(t, phone, s.number)
		return f.look()
	},
	"push": func(t *testing.T, _ *world, f face, s seen, phone *handheld.Device) seen {
		must(t, phone.Approve(t.Context(), question(t, phone), handheld.Approval{Number: s.number}))
		return f.look()
	},
	"sms_code": func(t *testing.T, w *world, f face, s seen, _ *handheld.Device) seen {
		if !strings.Contains(s.text, "one-time-code") || !strings.Contains(s.text, "** 78") && !strings.Contains(s.text, "78") {
			t.Errorf("the person is asked %s", s.text)
		}
		if s = f.do("code", wrongCode(w.behind(t, s).SMS.Code)); !strings.Contains(s.text, saysWrong) {
			t.Errorf("after a wrong code: %s", s.text)
		}
		right := w.behind(t, s).SMS.Code
		return f.do("code", right[:3]+" "+right[3:])
	},
	"scan": func(t *testing.T, w *world, f face, s seen, phone *handheld.Device) seen {
		if s.number != "" {
			t.Errorf("before anybody has scanned, the number is %q", s.number)
		}
		asked, err := phone.Scan(t.Context(), envelope.Scan{Issuer: issuer, OTP: w.behind(t, s).OTP}.Text())
		must(t, err)
		s = f.look()
		must(t, phone.Approve(t.Context(), asked, handheld.Approval{Number: s.number}))
		return f.look()
	},
}

func wrongCode(code string) string {
	if code == "000000" {
		return "000001"
	}
	return "000000"
}

// with a number for messages.
func (w *world) reachable(t *testing.T) {
	t.Helper()
	u, err := w.users.Get(t.Context(), w.alice.ID)
	must(t, err)
	profile := u.Profile
	profile.Attributes = map[string]string{"name": "Alice", "phone_number": "+31612345678"}
	_, err = w.users.Update(t.Context(), u.ID, u.Version, profile)
	must(t, err)
}

// TestPhoneSaysYes: by every method, in a browser and in an app.
func TestPhoneSaysYes(t *testing.T) {
	for typ, yes := range methods {
		t.Run(typ, func(t *testing.T) {
			each(t, func(t *testing.T, w *world) {
				w.reachable(t)
				phone := w.enrol(t, w.alice.ID)
				for name, f := range w.faces(t) {
					s := f.begin()
					if end := yes(t, w, f, s, phone); !end.done {
						t.Errorf("%s: after the yes: %s", name, end.text)
					}
				}
				for _, o := range w.asked(t, w.alice.ID) {
					if o.State != operation.Redeemed || o.ClientID != "" {
						t.Errorf("the question is %s, of the client %q", o.State, o.ClientID)
					}
				}
			}, asks(byphone.Config{Type: typ}))
		})
	}
}

// TestPhoneSaysNo: whatever comes of a question but a yes, people read what it was, may begin anew, and have nothing.
func TestPhoneSaysNo(t *testing.T) {
	wrong := func(t *testing.T, phone *handheld.Device, number string) {
		t.Helper()
		for range 3 {
			if err := phone.Approve(t.Context(), question(t, phone), handheld.Approval{Number: wrongDigit(number), Proof: handheld.Proof{PIN: phoneFactor}}); err == nil {
				t.Error("a wrong number is taken")
			}
		}
	}
	for _, tt := range []struct {
		name, want string
		happens    func(t *testing.T, w *world, f face, s seen, phone *handheld.Device) seen
	}{
		{"denied", saysNo, func(t *testing.T, _ *world, f face, _ seen, phone *handheld.Device) seen {
			must(t, phone.Deny(t.Context(), question(t, phone), envelope.Denied))
			return f.look()
		}},
		{"not me", saysNotMe, func(t *testing.T, _ *world, f face, _ seen, phone *handheld.Device) seen {
			must(t, phone.Deny(t.Context(), question(t, phone), envelope.NotMe))
			return f.look()
		}},
		{"expired", saysExpired, func(_ *testing.T, w *world, f face, _ seen, _ *handheld.Device) seen {
			w.clock.Advance(2*time.Minute + time.Second)
			return f.look()
		}},
		{"approved, and left alone for too long", saysExpired, func(t *testing.T, w *world, f face, s seen, phone *handheld.Device) seen {
			approves(t, phone, s.number)
			w.clock.Advance(time.Minute + time.Second)
			return f.look()
		}},
		{"too many wrong numbers", saysFailed, func(t *testing.T, _ *world, f face, s seen, phone *handheld.Device) seen {
			wrong(t, phone, s.number)
			return f.look()
		}},
		{"taken back", saysBack, func(_ *testing.T, _ *world, f face, _ seen, _ *handheld.Device) seen {
			return f.do("action", "cancel")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			each(t, func(t *testing.T, w *world) {
				phone := w.enrol(t, w.alice.ID)
				for name, f := range w.faces(t) {
					calm := func() {
						if tt.want == saysNotMe {
							w.clock.Advance(4 * caution.Pace) // whoever asks is slowed after that
						}
					}
					calm()
					s := f.begin()
					if s = tt.happens(t, w, f, s, phone); s.done || !strings.Contains(s.text, tt.want) || s.number != "" {
						t.Fatalf("%s: %+v, want %q", name, s, tt.want)
					}
					if s = f.look(); !strings.Contains(s.text, tt.want) {
						t.Errorf("%s: a moment later: %s", name, s.text)
					}
					calm()
					before := len(w.asked(t, w.alice.ID))
					if s = f.do("action", "again"); !strings.Contains(s.text, askedByPhone) || len(w.asked(t, w.alice.ID)) != before+1 {
						t.Fatalf("%s: asked again: %s", name, s.text)
					}
					if tt.want == saysNotMe {
						// The phone is not notified any more, and is asked all the same.
						if o := w.behind(t, s); o.Push == operation.PushQueued {
							t.Errorf("%s: the phone is notified once more", name)
						}
					}
					approves(t, phone, s.number)
					if end := f.look(); !end.done {
						t.Errorf("%s: after all approved: %s", name, end.text)
					}
				}
			}, asks(byphone.Config{Type: "push_pin"}))
		})
	}
}

func wrongDigit(number string) string {
	if number == "00" {
		return "01"
	}
	return "00"
}

// TestPhoneIsAskedOnce: pages that are loaded twice, in whatever tab, and apps that come again ask the phone one question.
func TestPhoneIsAskedOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.enrol(t, w.alice.ID)
		b := w.browser(t)
		waiting := b.pays()
		for range 3 {
			b.again(waiting)
		}
		if all := w.asked(t, w.alice.ID); len(all) != 1 {
			t.Errorf("the phone was asked %d times", len(all))
		}
		end := b.submit(waiting, "cancel", "cancel")
		if got := end.url.Query().Get("error"); got != "access_denied" {
			t.Errorf("giving up ends at %s", end.url)
		}
		if all := w.asked(t, w.alice.ID); all[0].State != operation.Cancelled {
			t.Errorf("the question of a request that was given up is %s", all[0].State)
		}
	}, asks(byphone.Config{Type: "push_pin"}))
}

// TestPhoneOfSomebodyElse: who scans for somebody else proves nothing.
func TestPhoneOfSomebodyElse(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		other := w.enrol(t, w.bob(t).ID)
		f := &inBrowser{browser: w.browser(t)}
		s := f.begin()
		asked, err := other.Scan(t.Context(), envelope.Scan{Issuer: issuer, OTP: w.behind(t, s).OTP}.Text())
		must(t, err)
		must(t, other.Approve(t.Context(), asked, handheld.Approval{Number: f.look().number}))
		if s = f.look(); s.done || !strings.Contains(s.text, saysOther) {
			t.Errorf("after the yes of another: %+v", s)
		}
		if o := w.behind(t, s); o.State != operation.Approved {
			t.Errorf("the approval of another was used: %s", o.State)
		}
	}, asks(byphone.Config{Type: "scan"}))
}

// TestPhoneOtherWays: a person without what is asked for chooses what there is, and is offered nothing that cannot be done.
func TestPhoneOtherWays(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		phone := w.enrol(t, w.alice.ID)
		f := &inBrowser{browser: w.browser(t)}
		s := f.begin()
		if strings.Contains(s.text, `value="use:sms_code"`) || !strings.Contains(s.text, `value="use:scan"`) {
			t.Errorf("without a number the person is offered %s", s.text)
		}
		first := w.behind(t, s)
		if s = f.do("action", "use:nothing"); s.number != first.Number {
			t.Errorf("a way that is not offered: %s", s.text)
		}
		s = f.do("action", "use:scan")
		if got := w.operation(t, first.ID); got.State != operation.Cancelled || got.Reason != "another_way" {
			t.Errorf("the first question is %s %s", got.State, got.Reason)
		}
		if end := methods["scan"](t, w, f, s, phone); !end.done {
			t.Errorf("by another way: %s", end.text)
		}
	}, asks(byphone.Config{Type: "push_pin", Also: []string{"sms_code", "scan"}}))
}

// TestPhoneFallsBack: what a type falls back to is a proof of what was really used, unless the realm forbids that.
func TestPhoneFallsBack(t *testing.T) {
	t.Parallel()
	t.Run("allowed", func(t *testing.T) {
		each(t, func(t *testing.T, w *world) {
			w.reachable(t)
			f := &inBrowser{browser: w.browser(t)}
			s := f.begin()
			if end := methods["sms_code"](t, w, f, s, nil); !end.done {
				t.Errorf("by a message: %s", end.text)
			}
		}, asks(byphone.Config{Type: "down"}))
	})
	t.Run("forbidden", func(t *testing.T) {
		each(t, func(t *testing.T, w *world) {
			w.reachable(t)
			f := &inBrowser{browser: w.browser(t)}
			if s := f.begin(); !strings.Contains(s.text, saysNotNow) || len(w.asked(t, w.alice.ID)) != 0 {
				t.Errorf("without a phone: %s", s.text)
			}
		}, asks(byphone.Config{Type: "down", Fallback: "same_or_higher"}))
	})
}

// TestPhoneResend: the same is sent again when it is due, and the person is told when not.
func TestPhoneResend(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.reachable(t)
		for name, f := range w.faces(t) {
			s := f.begin()
			code := w.behind(t, s).SMS.Code
			if s = f.do("action", "resend"); !strings.Contains(s.text, "We have only just sent it.") {
				t.Errorf("%s: at once: %s", name, s.text)
			}
			w.clock.Advance(31 * time.Second)
			if s = f.do("action", "resend"); !strings.Contains(s.text, "We have sent it again.") || w.behind(t, s).SMS.Code != code {
				t.Errorf("%s: later: %s", name, s.text)
			}
			w.clock.Advance(time.Minute + time.Second)
			f.do("action", "resend")
			if s = f.look(); strings.Contains(s.text, `"resend"`) {
				t.Errorf("%s: it can be sent a fourth time: %s", name, s.text)
			}
			if end := f.do("code", code); !end.done {
				t.Errorf("%s: the code of the first message: %s", name, end.text)
			}
		}
	}, asks(byphone.Config{Type: "sms_code"}))
}

// TestPhoneWithoutAName: a browser logs in by a picture that its user's phone scans, and nobody types a name.
func TestPhoneWithoutAName(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		phone := w.enrol(t, w.alice.ID)
		f := &inBrowser{browser: w.browser(t)}
		s := f.seen(f.get(authorize("app")))
		if end := methods["scan"](t, w, f, s, phone); !end.done {
			t.Fatalf("after the yes: %s", end.text)
		}
		if home := f.get(web1 + "/"); !strings.Contains(home.body, "hello "+w.alice.ID) {
			t.Errorf("the browser is %s", home.body)
		}
	}, asks(byphone.Config{Type: "scan"}), identifies)
}

// volatile is what differs from request to request.
var volatile = regexp.MustCompile(`value="[^"]{8,}"|<strong>[0-9]+</strong>|req=[A-Za-z0-9_]+|datetime="[^"]*">[^<]*<|"number":"[0-9]+"|"auth_session":"[^"]*"`)

// TestPhoneOfANameThatIsTyped: a user with a phone, one without and a name that nobody has look the same, until the phone says yes.
func TestPhoneOfANameThatIsTyped(t *testing.T) {
	for _, typ := range []string{"push_pin", "sms_code"} {
		t.Run(typ, func(t *testing.T) {
			each(t, func(t *testing.T, w *world) {
				w.reachable(t)
				phone := w.enrol(t, w.alice.ID)
				w.bob(t)
				type person struct {
					name string
					f    *inBrowser
					s    seen
				}
				var people []*person
				for _, name := range []string{"alice", "bob", "mallory", "alice"} {
					people = append(people, &person{name: name, f: &inBrowser{browser: w.browser(t)}})
				}
				same := func(what string) {
					t.Helper()
					want := volatile.ReplaceAllString(people[0].s.text, "#")
					for _, p := range people[1:] {
						if got := volatile.ReplaceAllString(p.s.text, "#"); got != want {
							t.Errorf("%s: %s sees\n%s\nand alice\n%s", what, p.name, got, want)
						}
						if len(p.s.number) != len(people[0].s.number) {
							t.Errorf("%s: %s sees the number %q, alice %q", what, p.name, p.s.number, people[0].s.number)
						}
					}
				}
				all := func(what string, do func(p *person) seen) {
					t.Helper()
					for _, p := range people {
						p.s = do(p)
					}
					same(what)
				}
				all("the first page", func(p *person) seen { return p.f.seen(p.f.get(authorize("app"))) })
				all("the question", func(p *person) seen { return p.f.do("username", p.name) })
				all("a page later", func(p *person) seen { return p.f.look() })
				all("at once again", func(p *person) seen { return p.f.do("action", "resend") })
				w.clock.Advance(31 * time.Second)
				all("again", func(p *person) seen { return p.f.do("action", "resend") })
				if typ == "sms_code" {
					all("a wrong code", func(p *person) seen { return p.f.do("code", "12") })
					last := people[3]
					people = people[:3]
					if end := last.f.do("code", w.behind(t, last.s).SMS.Code); !end.done {
						t.Errorf("after the right code: %s", end.text)
					}
					all("a second wrong code", func(p *person) seen { return p.f.do("code", "12") })
					all("a third wrong code", func(p *person) seen { return p.f.do("code", "12") })
					if !strings.Contains(people[0].s.text, saysFailed) {
						t.Errorf("after three wrong codes: %s", people[0].s.text)
					}
					return
				}
				last := people[3]
				must(t, phone.Deny(t.Context(), fetch(t, phone, w.behind(t, people[0].s).ID), envelope.NotMe))
				all("a no", func(p *person) seen { return p.f.look() })
				must(t, phone.Approve(t.Context(), fetch(t, phone, w.behind(t, last.s).ID),
					handheld.Approval{Number: last.s.number, Proof: handheld.Proof{PIN: phoneFactor}}))
				if end := last.f.look(); !end.done {
					t.Errorf("after the yes: %s", end.text)
				}
				people = people[:3]
				w.clock.Advance(2 * time.Minute)
				all("the end", func(p *person) seen { return p.f.look() })
				if !strings.Contains(people[0].s.text, saysExpired) {
					t.Errorf("in the end: %s", people[0].s.text)
				}
				all("another name", func(p *person) seen { return p.f.do("action", "again") })
				all("another name", func(p *person) seen { return p.f.do("action", "name") })
			}, asks(byphone.Config{Type: typ}), identifies)
		})
	}
}

// fetch is a question that waits on a phone beside others.
func fetch(t *testing.T, phone *handheld.Device, id string) handheld.Question {
	t.Helper()
	asked, err := phone.Fetch(t.Context(), id)
	must(t, err)
	return asked
}

// TestPhoneIsNotRedeemedTwice: of many who come back at the moment of the approval with one browser's cookies, the approval is used
// once, and none of them fails in another way than by being told to go on.
func TestPhoneIsNotRedeemedTwice(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		phone := w.enrol(t, w.alice.ID)
		b := w.browser(t)
		waiting := b.pays()
		approves(t, phone, waiting.number())
		target := waiting.url
		link := regexp.MustCompile(`url=([^"]*)"`).FindStringSubmatch(waiting.body)
		if link == nil {
			t.Fatal("the page is not fetched anew")
		}
		target, err := target.Parse(html.UnescapeString(link[1]))
		must(t, err)
		results := make(chan int, 8)
		for range cap(results) {
			go func() {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target.String(), nil)
				if err != nil {
					results <- 0
					return
				}
				for _, cookie := range b.client.Jar.Cookies(target) {
					r.AddCookie(cookie)
				}
				response, err := w.RoundTrip(r)
				if err != nil {
					results <- 0
					return
				}
				_ = response.Body.Close() // it is a recorder's
				results <- response.StatusCode
			}()
		}
		led := 0
		for range cap(results) {
			switch status := <-results; status {
			case http.StatusSeeOther:
				led++
			case http.StatusForbidden, http.StatusOK, http.StatusServiceUnavailable:
			default:
				t.Errorf("the page answers %d", status)
			}
		}
		if led == 0 {
			t.Error("nobody was led on")
		}
		if all := w.asked(t, w.alice.ID); len(all) != 1 || all[0].State != operation.Redeemed {
			t.Errorf("the questions are %v", all)
		}
	}, asks(byphone.Config{Type: "push_pin"}))
}
