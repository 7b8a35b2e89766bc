// SPDX-License-Identifier: Apache-2.0

package apps

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/caddymodule/attest"
	"github.com/gatehouse-id/gatehouse/mobileauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation"
	"github.com/gatehouse-id/gatehouse/storage"
)

// Config is an app of the operator's.
type Config struct {
	// The id, by which realms and tokens know it.
	ID string `json:"id"`
	// The platforms it exists for, each with the identifier of the app there: a bundle identifier, the name of a package, an origin.
	Platforms map[string]string `json:"platforms,omitempty"`
	// How its phones are notified, by platform. Default: not at all; they still find what they are asked.
	Push map[string]Push `json:"push,omitempty"`
	// What becomes of its versions. Of those that match, the most specific one counts; a version that none matches is refused.
	// Default: all are active.
	Versions []Version `json:"versions,omitempty"`
	// How phones with this app are registered. Default: not at all.
	Enrollment *Enrollment `json:"enrollment,omitempty"`
	// What the app asks of PINs.
	PIN *PIN `json:"pin,omitempty"`
	// What phones have to show to be taken for genuine, by platform. Default: what enrollment says of all of them.
	Attestation map[string]attest.Config `json:"attestation,omitempty"`
}

// Version says what becomes of some versions of an app.
type Version struct {
	// A version, the beginning of one with ".*", or "*".
	Version string `json:"version"`
	// active, notify, no_registration or disabled.
	Status string `json:"status"`
	// The platform it is about. Default: all of them.
	Platform string `json:"platform,omitempty"`
	// What people are told, by language.
	Messages map[string]string `json:"messages,omitempty"`
	// What tells messages apart, so that an app shows each once. Default: something that changes with the message.
	MessageID string `json:"message_id,omitempty"`
	// Where the latest version is.
	URL string `json:"url,omitempty"`
}

// applications returns what the registry knows as such.
func applications(configs []Config) []mobileauth.Application {
	var all []mobileauth.Application
	for i := range configs {
		app := mobileauth.Application{ID: configs[i].ID, Platforms: configs[i].Platforms}
		for _, v := range configs[i].Versions {
			app.Rules = append(app.Rules, mobileauth.Rule{
				Pattern: v.Version, Platform: v.Platform, Status: mobileauth.Status(v.Status), Messages: v.Messages,
				MessageID: v.MessageID, URL: v.URL,
			})
		}
		all = append(all, app)
	}
	return all
}

// Check returns an error that names the first app that cannot be so.
func Check(configs []Config) error {
	for i := range configs {
		if configs[i].PIN != nil && configs[i].Enrollment == nil {
			return fmt.Errorf("application %q: pin says what is asked of phones, and there is no enrollment that registers any", configs[i].ID)
		}
		if err := configs[i].checkPush(); err != nil {
			return err
		}
		if _, _, err := configs[i].Policy(); err != nil {
			return err
		}
		if err := configs[i].checkAttestation(); err != nil {
			return fmt.Errorf("application %q: %w", configs[i].ID, err)
		}
	}
	return mobileauth.Check(applications(configs))
}

// Registry returns the registry of the apps. It reads nothing yet.
func Registry(configs []Config, db storage.DB, logger *slog.Logger) (*mobileauth.Registry, error) {
	return mobileauth.New(mobileauth.Config{DB: db, Now: time.Now, Logger: logger, Applications: applications(configs)})
}

// Authenticator is the type of the authenticator that asks an app for its version.
const Authenticator = "application"

// guest is what stands in the configuration of an authenticator.
type guest struct{ Type, ID, Attestation string }

func read(authenticator json.RawMessage) (guest, bool) {
	var g guest
	err := json.Unmarshal(authenticator, &g) // whoever loads it says what is wrong
	return g, err == nil && g.Type == Authenticator
}

// AsksVersion reports whether an authenticator asks an app for its version, which proves nothing about people.
func AsksVersion(authenticator json.RawMessage) bool {
	_, ok := read(authenticator)
	return ok
}

// AsksEvidence reports whether an authenticator asks an app to show that it is genuine.
func AsksEvidence(authenticator json.RawMessage) bool {
	guest, ok := read(authenticator)
	return ok && guest.Attestation != ""
}

// CheckRealm returns an error for a realm's authenticator that asks for the version of an app which is not there, and for one that
// is to determine the user.
func CheckRealm(authenticator json.RawMessage, configs []Config, identity bool) error {
	guest, ok := read(authenticator)
	if !ok {
		return nil
	}
	if identity {
		return errors.New("it says which app is used and not by whom, and cannot be the realm of user_identity")
	}
	if len(configs) == 0 {
		return errors.New("its authenticator asks for the version of an app: define one with application")
	}
	known := func(c Config) bool { return guest.ID == "" || c.ID == guest.ID }
	if !slices.ContainsFunc(configs, known) {
		return fmt.Errorf("its authenticator asks for the version of the app %q, which is not defined", guest.ID)
	}
	if guest.Attestation == "" {
		return nil
	}
	return CheckAsked(configs, guest.ID, attestation.Grade(guest.Attestation))
}
