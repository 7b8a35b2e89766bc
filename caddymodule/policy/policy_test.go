// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"cmp"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/caddymodule/policy"
)

// many has rules, guards and rewrites in every order.
const many = `
http://api.example.com:8080 {
	@partner header X-Partner yes
	@claims header Gatehouse-Subject *
	@token header Authorization *
	route /before/* {
		protect read
		rewrite * /fixed
		respond before
	}
	route /after/* {
		rewrite * /fixed
		protect write
		respond after
	}
	route /claims/* {
		protect @claims write
		protect {
			off
		}
		handle {
			protect @token write
			respond claims
		}
	}
	route /narrow/* {
		protect @partner {
			optional
		}
		protect /narrow/shut/* write
		respond narrow
	}
	handle_path /strip/* {
		protect /inner/* read
		respond strip
	}
	protect /session/* read {
		session on
	}
	handle /quiet/* {
		header X-Quiet yes
	}
	handle /nested/* {
		protect {
			off
		}
		handle /nested/shut/* {
			protect write
			respond shut
		}
		respond nested
	}
	handle /fallback/* {
		protect free
	}
	handle /*t/* {
		protect write
	}
	respond end
}
http://bare.example.com:8080 {
	protect /shut/* free
}
http://lenient.example.com:8080 {
	@partner header X-Partner yes
	@token header Authorization *
	protect read {
		lenient_paths
		optional
	}
	handle /in/* {
		protect @partner write
		protect @token write
		respond in
	}
	respond lenient
}
http://:8080 {
	protect write
	respond others
}
`

// wantSame holds an explanation against what the gate does to the request, which has no credential that anybody knows.
func (h *house) wantSame(t interface {
	Helper()
	Errorf(string, ...any)
}, e *policy.Explanation, got *httptest.ResponseRecorder) {
	t.Helper()
	asks := false
	for i := range e.Rules {
		asks = asks || !e.Rules[i].Off && !e.Rules[i].Optional
	}
	var good bool
	switch {
	case e.Answers == "protect":
		good = e.Path == "" && got.Code != http.StatusUnauthorized && got.Body.String() != "end"
	case e.Path != "":
		good = got.Code == http.StatusBadRequest
	case asks:
		good = got.Code == http.StatusUnauthorized || got.Code/100 == 3
	default:
		good = got.Code == http.StatusOK && (e.Answers == "static_response") == (got.Body.Len() > 0)
	}
	if !good {
		t.Errorf("%s: explained as %q with %d rules, and it is %d %s", e.Request, e.Verdict, len(e.Rules), got.Code, got.Body)
	}
}

// What is explained is what the gate then does, where it is easily another thing.
func TestExplanations(t *testing.T) {
	t.Parallel()
	h := open(t, many)
	const api, lenient = "api.example.com", "lenient.example.com"
	partner, token := http.Header{"X-Partner": {"yes"}}, http.Header{"Authorization": {"Bearer x"}}
	for _, tt := range []struct {
		name, host, path string
		header           http.Header
		verdict          string
		rules            int
	}{
		{"a path that is bad before it is rewritten", api, "/before//x", nil, "refused with 400", 0},
		{"a path that is good after it was rewritten", api, "/after/x", nil, "one rule applies", 1},
		{"no path", api, "", nil, "nothing protects this", 0},
		{"a lenient rule", lenient, "//x", nil, "one rule applies", 1},
		{"a strict list within a lenient one", lenient, "/in//x", nil, "one rule applies", 1},
		{"a strict rule within a lenient list", lenient, "/in//x", partner, "refused with 400", 1},
		{"both rules", lenient, "/in/x", partner, "2 rules apply", 2},
		{"a token that the rule further out has taken off", lenient, "/in/x", token, "one rule applies", 1},
		{"a claim of the client's own", api, "/claims/x", http.Header{"Gatehouse-Subject": {"admin"}}, "nothing protects this: the rule that applies is off", 1},
		{"a claim in another spelling", api, "/claims/x", http.Header{"Gatehouse_subject": {"admin"}}, "nothing protects this: the rule that applies is off", 1},
		{"a token behind a rule that is off", api, "/claims/x", token, "one rule applies", 2},
		{"the first of two rules", api, "/narrow/shut/x", partner, "one rule applies", 1},
		{"the second of two rules", api, "/narrow/shut/x", nil, "one rule applies", 1},
		{"neither of two rules", api, "/narrow/x", nil, "nothing protects this", 0},
		{"a header in another case", api, "/narrow/shut/x", http.Header{"x-partner": {"yes"}}, "one rule applies", 1},
		{"a path in another case", api, "/NARROW/SHUT/x", nil, "one rule applies", 1},
		{"the first of two handles", api, "/quiet/x", nil, "nothing protects this", 0},
		{"the second of two handles", api, "/left/x", nil, "one rule applies", 1},
		{"a session", api, "/session/x", nil, "one rule applies", 1},
		{"another host", "other.example.com", "/x", nil, "one rule applies", 1},
		{"a site that ends without an answer", "bare.example.com", "/x", nil, "nothing protects this, and nothing answers it", 0},
		{"a host that is named in the header", "127.0.0.1", "/x", http.Header{"Host": {"bare.example.com:8080"}}, "nothing protects this, and nothing answers it", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := h.explain(policy.Question{Method: "get", URL: "http://" + tt.host + ":8080" + tt.path, Headers: tt.header})
			if len(e.Rules) != tt.rules || !strings.HasPrefix(e.Verdict, tt.verdict) || tt.rules == 0 && e.Path == "" && e.Verdict != tt.verdict {
				t.Errorf("%d rules and %q, want %d and %q", len(e.Rules), e.Verdict, tt.rules, tt.verdict)
			}
			host := tt.host + ":8080"
			if named := tt.header.Get("Host"); named != "" {
				host = named
			}
			if tt.host == lenient && tt.header.Get("Authorization") != "" {
				return // which the explanation takes for a good one
			}
			h.wantSame(t, e, h.ask("srv0", http.MethodGet, host, cmp.Or(tt.path, "/"), tt.header))
		})
	}
}

// What is explained is what the gate then does, whatever the request.
func TestTheGateDoesWhatIsExplained(t *testing.T) {
	t.Parallel()
	h := open(t, many)
	path := rapid.Custom(func(t *rapid.T) string {
		first := rapid.SampledFrom([]string{
			"/before", "/after", "/in", "/claims", "/narrow", "/strip", "/session", "/nested", "/NARROW", "/_gatehouse", "/elsewhere", "", "/quiet", "/left",
			"/.well-known/oauth-protected-resource",
		}).Draw(t, "first")
		rest := rapid.SliceOfN(rapid.SampledFrom([]string{
			"/", "/x", "/shut/x", "/inner/x", "//y", "/%2e%2e/z", "/..;a/b", "/a%2fb", "/a%252fb", "/SHUT/x", "/%73hut/x", "/.", "/a;b=c", "/callback", "?q=1",
		}), 0, 2).Draw(t, "rest")
		return first + strings.Join(rest, "")
	})
	rapid.Check(t, func(t *rapid.T) {
		target, method := path.Draw(t, "path"), rapid.SampledFrom([]string{"GET", "POST", "OPTIONS"}).Draw(t, "method")
		header := http.Header{}
		for _, name := range []string{"X-Partner", "Gatehouse-Subject"} {
			if rapid.Bool().Draw(t, name) {
				header[name] = []string{"yes"}
			}
		}
		host := rapid.SampledFrom([]string{"api.example.com:8080", "lenient.example.com:8080"}).Draw(t, "host")
		e, err := policy.Explain(h.app, h.http, policy.Question{Method: method, URL: "http://" + host + target, Headers: header})
		if err != nil {
			t.Fatal(err)
		}
		sent := target
		if !strings.HasPrefix(sent, "/") {
			sent = "/" + sent
		}
		got := h.ask("srv0", method, host, sent, header)
		h.wantSame(t, e, got)
	})
}
