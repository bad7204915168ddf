package shop;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Orders by customer. */
public final class Orders {
    private final Map<String, List<Order>> byCustomer = new HashMap<>();

    /** Adds an order (never null). */
    public void add(Order order) {
        if (order == null) {
            throw new IllegalArgumentException("order must not be null");
        }
        byCustomer.computeIfAbsent(order.customer(), key -> new ArrayList<>()).add(order);
    }

    public double total(String customer) {
        double sum = 0.0;
        for (Order order : byCustomer.getOrDefault(customer, List.of())) {
            sum += order.price() * order.count();
        }
        return sum;
    }

    public String describe(String customer, char separator) {
        StringBuilder text = new StringBuilder();
        text.append("customer \"").append(customer).append("\": ");
        for (Order order : byCustomer.getOrDefault(customer, List.of())) {
            text.append(order.count()).append(" x ").append(order.name()).append(separator);
        }
        return text.toString().replace("(", "[").replace(")", "]");
    }

    public record Order(String customer, String name, int count, double price) {}
}
