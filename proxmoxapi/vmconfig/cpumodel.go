package vmconfig

import "fmt"

// CheckCPU checks the option cpu: its format, which knows the built-in models and the flags that a VM may set, and that
// a custom model exists. custom tells which do (by the name without custom-); nil accepts every name.
func CheckCPU(value string, custom func(name string) bool) error {
	c, err := ParseCPU(value)
	if err != nil {
		return err
	}
	if name := c.Custom(); name != "" && custom != nil && !custom(name) {
		return fmt.Errorf("Custom cputype '%s' not found", name) //nolint:staticcheck // the public text
	}
	return nil
}
