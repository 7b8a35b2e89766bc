// SPDX-License-Identifier: Apache-2.0

// Command web-service is a service that knows users, for "login_module web_service": it is asked whether a login is good.
// It listens on 127.0.0.1:8085, and reads the secret of who may ask from USERS_TOKEN.
package main

import (
	"crypto/subtle"
	"encoding/json"
	"log"
	"net/http"
	"os"
	"time"
)

// question is what Gatehouse asks; it also tells client_ip, realm and locale.
type question struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

// user is what is told of somebody.
type user struct {
	ID   int    `json:"id"`
	Name string `json:"name"`
	Mail string `json:"mail"`
}

// password is Alice's. A real service stores hashes, and does the same work for a name that it does not know.
const password = "wonderland-2026"

func check(w http.ResponseWriter, r *http.Request) {
	if !same(r.Header.Get("Authorization"), "Bearer "+os.Getenv("USERS_TOKEN")) {
		http.Error(w, "who are you?", http.StatusInternalServerError) // 401 would say that the person is refused
		return
	}
	var q question
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&q); err != nil {
		http.Error(w, "that is no question", http.StatusBadRequest)
		return
	}
	if right := same(q.Password, password); q.Username != "alice" || !right {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]user{ // who has gone away is not told
		"user": {ID: 4711, Name: "Alice Liddell", Mail: "alice@example.com"},
	})
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

func main() {
	if os.Getenv("USERS_TOKEN") == "" {
		log.Fatal("USERS_TOKEN is not set")
	}
	http.HandleFunc("POST /check", check)
	server := &http.Server{Addr: "127.0.0.1:8085", ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second}
	log.Printf("listening on http://%s", server.Addr)
	log.Fatal(server.ListenAndServe())
}
