# A program that knows an address and a key, and nothing of limits.
for i in 1 2 3 4 5 6 7 8; do
	curl -sS "$OPENAI_BASE_URL/chat/completions" -o /dev/null -w '%{http_code} after %{time_total} s\n' \
		-H "Authorization: Bearer $OPENAI_API_KEY" -H 'Content-Type: application/json' -d '{
			"model": "gpt-5.4-mini", "max_completion_tokens": 50,
			"messages": [{"role": "user", "content": "Name a star."}]}' &
done
wait
