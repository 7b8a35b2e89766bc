// SPDX-License-Identifier: Apache-2.0

// Command adapter is a back end for "authenticator adapter": it asks for a user name, and then for a code, which it prints to its
// log where a real one would send it. Its protocol is in docs/adapter.md.
package main

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"log"
	"maps"
	"math/big"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// question is what Gatehouse says in each round, as far as it matters here.
type question struct {
	State   string            `json:"state"`
	Answers map[string]string `json:"answers"`
}

type object map[string]any

// code is what one person has to type, once and soon. Tries are counted by person: whoever is refused can begin again at any time.
type code struct {
	text  string
	until time.Time
	tries int
}

type backend struct {
	token string
	mu    sync.Mutex
	codes map[string]*code // by user name
}

var people = map[string]string{"alice": "Alice Liddell", "bob": "Bob the Builder"}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte("Bearer "+b.token)) != 1 {
		http.Error(w, "who are you?", http.StatusUnauthorized)
		return
	}
	var q question
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&q); err != nil {
		http.Error(w, "that is no question", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(b.decide(q)) // a caller that has gone away is not told
}

// decide has the state say what was asked before: nothing, the name, or the code of somebody.
func (b *backend) decide(q question) object {
	user, asked := strings.CutPrefix(q.State, "code:")
	switch {
	case asked:
		return b.judge(user, q.Answers["code"])
	case q.State == "name":
		return b.ask(strings.ToLower(q.Answers["user"]), object{"message": "We sent you a code."})
	}
	name := object{"name": "user", "label": "User name", "autocomplete": "username", "required": true}
	return object{"challenge": object{"fields": []object{name}}, "state": "name"}
}

// ask makes a code unless there is one, and asks for it. For somebody unknown it makes one that nobody gets: all looks the same.
func (b *backend) ask(user string, challenge object) object {
	b.mu.Lock()
	defer b.mu.Unlock()
	maps.DeleteFunc(b.codes, func(_ string, c *code) bool { return time.Now().After(c.until) })
	if b.codes[user] == nil {
		n, _ := rand.Int(rand.Reader, big.NewInt(1e6)) // it never fails
		b.codes[user] = &code{text: fmt.Sprintf("%06d", n), until: time.Now().Add(5 * time.Minute)}
		if people[user] != "" {
			log.Printf("the code of %s is %s", user, b.codes[user].text)
		}
	}
	challenge["fields"] = []object{{
		"name": "code", "label": "Code", "input_mode": "numeric", "autocomplete": "one-time-code", "required": true,
	}}
	return object{"challenge": challenge, "state": "code:" + user}
}

// judge gives everybody three tries for one code.
func (b *backend) judge(user, text string) object {
	b.mu.Lock()
	c, good, over := b.codes[user], false, false
	if c != nil {
		c.tries++
		over = c.tries >= 3
		right := subtle.ConstantTimeCompare([]byte(text), []byte(c.text)) == 1
		good = right && c.tries <= 3 && time.Now().Before(c.until) && people[user] != ""
	}
	if good {
		delete(b.codes, user)
	}
	b.mu.Unlock()
	switch {
	case good:
		return object{"identity": object{"id": user, "name": people[user], "amr": []string{"otp"}}}
	case over:
		return object{"refused": object{"reason": "too_many_tries", "retry_after": 300}}
	}
	return b.ask(user, object{"message": "That is not the code.", "error": true})
}

func main() {
	address, token := os.Getenv("ADAPTER_LISTEN"), os.Getenv("ADAPTER_TOKEN")
	if address == "" {
		address = "127.0.0.1:8000"
	}
	if token == "" {
		log.Fatal("ADAPTER_TOKEN is empty: it is the secret that Gatehouse shows")
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("listening on http://%s", listener.Addr())
	server := &http.Server{Handler: &backend{token: token, codes: map[string]*code{}}, ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(server.Serve(listener))
}
