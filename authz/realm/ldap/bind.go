// SPDX-License-Identifier: Apache-2.0

package ldap

import (
	"errors"
	"regexp"

	directory "github.com/go-ldap/ldap/v3"
)

// reasonWrong is the reason of a refusal by a directory that does not say more.
const reasonWrong = "wrong_password"

// refusals are the results of a bind (RFC 4511 appendix A) that speak of the account and not of the directory, with the reason
// that they are.
var refusals = map[uint16]string{
	directory.LDAPResultInvalidCredentials:          reasonWrong,
	directory.LDAPResultNoSuchObject:                reasonUnknown,
	directory.LDAPResultInappropriateAuthentication: "no_password",
	directory.LDAPResultConstraintViolation:         "locked", // too many tries, for the servers of 389 Directory Server's family
	directory.LDAPResultUnwillingToPerform:          "deactivated",
}

// activeDirectory finds the Windows error that Active Directory writes into its message: "80090308: LdapErr: DSID-0C090449,
// comment: AcceptSecurityContext error, data 775, v4563".
var activeDirectory = regexp.MustCompile(`AcceptSecurityContext error, data ([0-9a-fA-F]{1,8}),`)

// windows are the errors of the account, not of the password (winerror.h).
var windows = map[string]string{
	"525": reasonUnknown,
	"530": "not_at_this_time",
	"531": "not_from_here",
	"532": "password_expired",
	"533": "deactivated",
	"701": "account_expired",
	"773": "password_must_be_changed",
	"775": "locked",
}

// policies are the errors of the password policy control (draft-behera-ldap-password-policy-10, section 6.2) that a bind may
// have. A password that must be changed first lets nobody do anything else, and there is no page here to change it on.
var policies = map[int8]string{0: "password_expired", 1: "locked", 2: "password_must_be_changed"}

// bind proves to the directory who asks. The reason says why it refuses, and is empty when it does not. An error means that it
// has not judged.
func (s *session) bind(dn, password string) (reason string, err error) {
	if dn == "" || password == "" {
		return "", errors.New("a bind without a name or a password is one as nobody")
	}
	policy := directory.NewControlBeheraPasswordPolicy()
	result, err := s.conn.SimpleBind(directory.NewSimpleBindRequest(dn, password, []directory.Control{policy}))
	if err == nil {
		return policyReason(result), nil
	}
	var refusal *directory.Error
	if !errors.As(err, &refusal) {
		return "", err
	}
	reason, ok := refusals[refusal.ResultCode]
	if !ok {
		return "", err
	}
	if said := activeDirectory.FindStringSubmatch(err.Error()); said != nil && windows[said[1]] != "" {
		return windows[said[1]], nil
	}
	if more := policyReason(result); more != "" {
		return more, nil
	}
	return reason, nil
}

// policyReason returns what the password policy says against an account; empty when it says nothing.
func policyReason(result *directory.SimpleBindResult) string {
	if result == nil {
		return ""
	}
	control, ok := directory.FindControl(result.Controls, directory.ControlTypeBeheraPasswordPolicy).(*directory.ControlBeheraPasswordPolicy)
	if !ok || control.Error < 0 {
		return ""
	}
	if reason, known := policies[control.Error]; known {
		return reason
	}
	return "password_policy"
}
