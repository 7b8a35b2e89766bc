// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/gatehouse-id/gatehouse/caddymodule"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/mobileauth"
)

// VersionsAnswer is what a change of the versions of an app comes to, by platform.
type VersionsAnswer struct {
	Application string `json:"application"`
	// DryRun tells that nothing was changed.
	DryRun  bool                `json:"dry_run,omitempty"`
	Effects []mobileauth.Effect `json:"effects"`
}

func listApplications(app *caddymodule.App, _ http.ResponseWriter, _ *http.Request) (any, error) {
	return app.Apps().List(), nil
}

func showApplication(app *caddymodule.App, _ http.ResponseWriter, r *http.Request) (any, error) {
	return app.Apps().Find(r.PathValue("application"))
}

// setVersion puts a rule over the configuration. With dry_run=true it says what that would come to.
func setVersion(app *caddymodule.App, w http.ResponseWriter, r *http.Request) (any, error) {
	var rule mobileauth.Rule
	if err := body(w, r, &rule); err != nil {
		return nil, err
	}
	answer := VersionsAnswer{Application: r.PathValue("application"), DryRun: dryRun(r)}
	var err error
	if answer.DryRun {
		answer.Effects, err = app.Apps().Preview(answer.Application, rule)
		return answer, err
	}
	answer.Effects, err = app.Apps().Set(r.Context(), answer.Application, rule)
	reason := named(answer.Application, rule.Pattern, rule.Platform) + " " + string(rule.Status)
	return answer, audited(app, r, audit.Event{Name: "application.set", Reason: reason}, err)
}

// unsetVersion takes such a rule away. With dry_run=true it says what that would come to.
func unsetVersion(app *caddymodule.App, _ http.ResponseWriter, r *http.Request) (any, error) {
	answer := VersionsAnswer{Application: r.PathValue("application"), DryRun: dryRun(r)}
	version, platform := r.PathValue("version"), r.URL.Query().Get("platform")
	var err error
	if answer.DryRun {
		answer.Effects, err = app.Apps().PreviewUnset(answer.Application, version, platform)
		return answer, err
	}
	answer.Effects, err = app.Apps().Unset(r.Context(), answer.Application, version, platform)
	reason := named(answer.Application, version, platform)
	return answer, audited(app, r, audit.Event{Name: "application.unset", Reason: reason}, err)
}

func dryRun(r *http.Request) bool { return r.URL.Query().Get("dry_run") == "true" }

// named names a rule, for the audit trail. What is malformed is quoted.
func named(app, version, platform string) string {
	text := strings.TrimSpace(app + " " + version + " " + platform)
	if mobileauth.ValidID(app) && mobileauth.CheckPattern(version) == nil && (platform == "" || mobileauth.ValidPlatform(platform)) {
		return text
	}
	return fmt.Sprintf("%.200q", text)
}
