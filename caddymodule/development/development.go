// SPDX-License-Identifier: Apache-2.0

package development

import (
	"fmt"
	"log/slog"
)

// Only is implemented by guests that let people in without a proof of who they are.
type Only interface {
	// DevelopmentOnly says what the guest does that must not happen in production.
	DevelopmentOnly() string
}

// Admit refuses a realm with a guest that is for development where development is not on. Where it is, the log names the realm
// and what it does.
func Admit(on bool, realm string, logger *slog.Logger, guests ...any) error {
	for _, guest := range guests {
		g, ok := guest.(Only)
		if !ok {
			continue
		}
		if !on {
			return fmt.Errorf("%s: it works only with \"development on\", which is not for production", g.DevelopmentOnly())
		}
		logger.Warn("development is on: this realm proves nothing", "realm", realm, "because", g.DevelopmentOnly())
	}
	return nil
}
