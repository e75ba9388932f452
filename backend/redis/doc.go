// Package redis keeps budgets in Redis.
package redis
