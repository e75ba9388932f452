module github.com/openai-ratelimiter/ratelimiter/bench

go 1.26.0

require (
	github.com/openai-ratelimiter/ratelimiter v0.0.0
	golang.org/x/time v0.16.0
)

require (
	github.com/dlclark/regexp2 v1.10.0 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/pkoukk/tiktoken-go v0.1.8 // indirect
	github.com/pkoukk/tiktoken-go-loader v0.0.2 // indirect
)

replace github.com/openai-ratelimiter/ratelimiter => ../
